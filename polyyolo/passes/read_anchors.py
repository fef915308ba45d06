"""Read the anchors out of a YOLOv5 decode before it is cut off."""

from collections.abc import Sequence

import numpy as np
import onnx

from polyyolo.models.metadata import Anchors
from polyyolo.models.probe import OPEN_SIZE
from polyyolo.models.tensors import image_of, inputs_of
from polyyolo.models.trail import Trail
from polyyolo.passes.trial import Array, outputs_for, pictures, with_outputs


def read_anchors(model: onnx.ModelProto, maps: Sequence[str], trail: Trail) -> Anchors:
    """Find the anchors of each map, in pixels, in what the decode multiplies its sizes with.

    YOLOv5 computes width and height as (2 * sigmoid(x)) ** 2 * anchor: the other factor of the multiplication after the
    Pow is the anchor, a constant or something computed from the shapes, so the model is run once to have its value.

    Args:
        model: with the decode.
        maps: the last convolutions' outputs.
        trail: what lies between them and the decoded output.

    Returns:
        One tuple of (width, height) a map; empty where any of them has none.
    """
    factors = [_factor(name, trail) for name in maps]
    if not all(factors):
        return ()
    values = _values(model, factors)
    levels = tuple(_pairs(values[name]) for name in factors)
    return levels if all(levels) else ()


def _factor(tensor: str, trail: Trail) -> str:
    """Follow ``tensor`` to the first Pow and from there to the multiplication; give its other input, or nothing."""
    waiting, seen = [tensor], {tensor}
    while waiting:
        name = waiting.pop(0)
        for node in (node for node in trail.between if name in node.input):
            if node.op_type == "Pow":
                return _other_factor(node.output[0], trail)
            fresh = [output for output in node.output if output not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
    return ""


def _other_factor(power: str, trail: Trail) -> str:
    node = next((node for node in trail.between if node.op_type == "Mul" and power in node.input), None)
    return next((name for name in node.input if name != power), "") if node is not None else ""


def _values(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, Array]:
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    computed = [name for name in dict.fromkeys(names) if name not in constants]
    if computed:
        dims = image_of(inputs_of(model)).dims
        count, _, height, width = (
            dim if isinstance(dim, int) else usual for dim, usual in zip(dims, (1, 3, *OPEN_SIZE), strict=True)
        )
        batch = pictures(model, count, (height, width))
        constants.update(outputs_for(with_outputs(model, computed), batch, wanted=computed))
    return {name: constants[name] for name in names}


def _pairs(value: Array) -> tuple[tuple[float, float], ...]:
    """Turn (1, A, H or 1, W or 1, 2), or (1, A, 1, 2), into A pairs; nothing where they differ from cell to cell."""
    if value.ndim == 4:
        value = value[:, :, np.newaxis]
    if value.ndim != 5 or value.shape[-1] != 2:
        return ()
    cell = value[:1, :, :1, :1, :]
    if not np.array_equal(np.broadcast_to(cell, value.shape), value):
        return ()
    return tuple((float(width), float(height)) for width, height in cell.reshape(-1, 2))
