"""The shapes that a model's outputs really have, at one size; found by running it where it does not declare them."""

import math
from typing import Any

import numpy as np
import onnx
from attrs import frozen
from numpy.typing import NDArray

from polyyolo.models.own_size import USUAL_SIZE
from polyyolo.models.tensors import image_of, inputs_of, outputs_of
from polyyolo.records import TensorSpec

Array = NDArray[Any]

# Height and width differ, so that an axis is known by its length; both are multiples of 64, the largest stride in use.
OPEN_SIZE = (256, 320)
MOST_ELEMENTS = 1 << 26


@frozen
class Probe:
    """What comes out at one input size.

    Attributes:
        size: (height, width) of the picture in pixels.
        shapes: output name -> its shape, for the outputs whose shape could be found, in the model's order.
    """

    size: tuple[int, int]
    shapes: dict[str, tuple[int, ...]]


def probe(model: onnx.ModelProto) -> Probe:
    """Find the shape of every output for one picture, from what the model declares or by running it.

    Raises:
        ModelError: the model has no picture input, or several.
    """
    image = image_of(inputs_of(model))
    declared = _declared(model)
    if not image.is_dynamic and len(declared) == len(model.graph.output):
        return Probe(size=_size(image, OPEN_SIZE), shapes=declared)
    for size in (OPEN_SIZE, USUAL_SIZE):
        values = values_of(model, size)
        if values:
            shapes = {name: value.shape for name, value in values.items()}
            return Probe(size=_size(image, size), shapes=shapes)
    return Probe(size=_size(image, OPEN_SIZE), shapes={} if image.is_dynamic else declared)


def _declared(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    return {
        tensor.name: tuple(int(dim) for dim in tensor.dims)
        for tensor in outputs_of(model)
        if tensor.dims and not tensor.is_dynamic
    }


def _size(image: TensorSpec, size: tuple[int, int]) -> tuple[int, int]:
    height, width = (dim if isinstance(dim, int) else chosen for dim, chosen in zip(image.dims[2:], size, strict=True))
    return height, width


def values_of(model: onnx.ModelProto, size: tuple[int, int]) -> dict[str, Array]:
    """Run one black picture through the model in ONNX Runtime; empty where that is not possible.

    Args:
        model: complete.
        size: (height, width) of the picture in pixels, where the model leaves it open.

    Returns:
        output name -> what comes out.
    """
    from polyyolo.models.runtime import open_session

    try:
        session = open_session(model.SerializeToString(), optimised=False)
        if _elements(image_of(inputs_of(model)), size) > MOST_ELEMENTS:
            return {}
        feed = {tensor.name: _filler(tensor, size) for tensor in inputs_of(model)}
        results = session.run(None, feed)
    except Exception:  # noqa: BLE001 - ONNX Runtime has no common base; custom operators and the like end up here
        return {}
    names = [value.name for value in model.graph.output]
    return dict(zip(names, results, strict=True))


def _elements(image: TensorSpec, size: tuple[int, int]) -> int:
    return math.prod(dim for dim in (*image.dims[:2], *_size(image, size)) if isinstance(dim, int))


def _filler(tensor: TensorSpec, size: tuple[int, int]) -> np.ndarray:
    open_dims = (1, 3, *size) if len(tensor.dims) == 4 else (1,) * len(tensor.dims)
    shape = [dim if isinstance(dim, int) else chosen for dim, chosen in zip(tensor.dims, open_dims, strict=True)]
    return np.zeros(shape, dtype=tensor.dtype)
