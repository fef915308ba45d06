"""Run a model in memory once in ONNX Runtime, to learn its shapes or to prove that a pass kept its numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from polyyolo.errors import ModelError
from polyyolo.models.runtime import open_session
from polyyolo.models.tensors import image_of, inputs_of

Array = npt.NDArray[np.generic]
SEED = 0


def pictures(model: onnx.ModelProto, count: int, size: tuple[int, int]) -> Array:
    """Make (count, C, height, width) of seeded noise in the range and type of the model's picture input."""
    image = image_of(inputs_of(model))
    channels = image.dims[1] if isinstance(image.dims[1], int) else 3
    noise = np.random.default_rng(SEED).random((count, channels, *size), dtype=np.float32)
    return (noise * 255).astype(np.uint8) if image.dtype == "uint8" else noise.astype(image.dtype)


def outputs_for(model: onnx.ModelProto, batch: Array, *, wanted: Sequence[str] | None = None) -> dict[str, Array]:
    """Run ``batch`` through ``model``; other inputs are fed zeros.

    Args:
        model: at most 2 GB.
        batch: (N, C, H, W).
        wanted: output names; all of them without it.

    Raises:
        ModelError: ONNX Runtime cannot run it; the message has the reason.
    """
    inputs = inputs_of(model)
    image = image_of(inputs)
    names = list(wanted or (value.name for value in model.graph.output))
    try:
        session = open_session(model.SerializeToString())
        others = {each.name: _zeros(each.dims, each.dtype) for each in inputs if each.name != image.name}
        results = session.run(names, {**others, image.name: batch})
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        reason = str(error).splitlines()[0]
        shape = "x".join(map(str, batch.shape))
        raise ModelError(
            f"ONNX Runtime cannot run the model with {shape}: {reason}", fix="see the pass's options"
        ) from error
    return dict(zip(names, results, strict=True))


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Give a copy of ``model`` that also puts out the tensors ``names``."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {value.name for value in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    return copy


def _zeros(dims: Sequence[int | str], dtype: str) -> Array:
    return np.zeros([dim if isinstance(dim, int) else 1 for dim in dims], dtype=dtype)
