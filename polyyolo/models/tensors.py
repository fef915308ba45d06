"""A model's inputs and outputs, and which input takes pictures."""

from collections.abc import Iterable

import onnx

from polyyolo.errors import ModelError
from polyyolo.records import ModelSpec, TensorSpec

PICTURE_TYPES = ("float32", "float16", "uint8")


def inputs_of(model: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """Give what must be fed; initializers that old exporters list as inputs are left out."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return tuple(_tensor(value) for value in model.graph.input if value.name not in constants)


def outputs_of(model: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """Give what comes out, as the model declares it."""
    return tuple(_tensor(value) for value in model.graph.output)


def image_of(inputs: Iterable[TensorSpec]) -> TensorSpec:
    """Find the one (N, C, H, W) input with 1 or 3 channels.

    Raises:
        ModelError: there is none, or more than one.
    """
    inputs = tuple(inputs)
    images = [tensor for tensor in inputs if _takes_pictures(tensor)]
    if len(images) == 1:
        return images[0]
    listed = described(images or inputs) or "none at all"
    if images:
        raise ModelError(
            f"the model has {len(images)} inputs that take pictures: {listed}",
            fix="polyyolo works with one picture input: export the detector alone",
        )
    raise ModelError(
        f"the model has no picture input (N, C, H, W) with 1 or 3 channels; its inputs are: {listed}",
        fix="export with one float32, float16 or uint8 input of shape (batch, 3, height, width)",
    )


def refuse_more_inputs(spec: ModelSpec) -> None:
    """Refuse to run a model that needs what no picture tells.

    Raises:
        ModelError: it has inputs beside that for pictures.
    """
    others = [tensor for tensor in spec.inputs if tensor.name != spec.image]
    if others:
        raise ModelError(
            f"{spec.path} takes more than a picture: {described(others)}",
            fix="export it without that, or with a constant in its place; polyyolo build takes it, without pictures",
        )


def described(tensors: Iterable[TensorSpec]) -> str:
    """List name, type and shape of each, as in "images float32 (1, 3, height, width)"."""
    return ", ".join(f"{tensor.name} {tensor.dtype} ({', '.join(map(str, tensor.dims))})" for tensor in tensors)


def _takes_pictures(tensor: TensorSpec) -> bool:
    if len(tensor.dims) != 4 or tensor.dtype not in PICTURE_TYPES:
        return False
    channels, *sides = tensor.dims[1:]
    return (isinstance(channels, str) or channels in (1, 3)) and all(
        isinstance(side, str) or side > 4 for side in sides
    )


def _tensor(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    dims = tuple(_dim(dim, value.name, axis) for axis, dim in enumerate(kind.shape.dim))
    return TensorSpec(name=value.name, dtype=_dtype(kind.elem_type), dims=dims)


def _dim(dim: onnx.TensorShapeProto.Dimension, name: str, axis: int) -> int | str:
    if dim.HasField("dim_value") and dim.dim_value > 0:
        return dim.dim_value
    return dim.dim_param or f"{name}_{axis}"


def _dtype(elem_type: int) -> str:
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type).name)
    except KeyError:
        return "unknown"
