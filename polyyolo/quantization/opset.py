"""The operator sets that INT8 needs: an older model is raised to them."""

import onnx

from polyyolo.errors import ModelError
from polyyolo.models.reading import opset_of

AXIS_OPSET = 13
"""From this operator set on, QuantizeLinear and DequantizeLinear take a scale for each channel."""


def raised(model: onnx.ModelProto, least: int, need: str) -> onnx.ModelProto:
    """Give a copy of the model in operator set ``least``, and the model itself where its own is as new.

    Args:
        model: stays as it is.
        least: the oldest operator set that will do.
        need: what needs it, in the plural.

    Raises:
        ModelError: ONNX cannot convert the model.
    """
    version = opset_of(model)
    if version >= least:
        return model
    try:
        return onnx.version_converter.convert_version(model, least)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"the model's operator set {version} cannot be raised to {least}, which {need} need: {error}",
            fix=f"export the model again with opset {least}",
        ) from error
