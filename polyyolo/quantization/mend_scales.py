"""New scales for Q/DQ pairs, from the numbers that the graph holds."""

import numpy as np
import onnx_graphsurgeon as gs

from polyyolo.calibration.thresholds import LEVELS
from polyyolo.quantization.grid import half_scale
from polyyolo.quantization.insertion import channel_axis, weight_scales
from polyyolo.quantization.lint.pairs import Pair, Values, fixed, known
from polyyolo.quantization.lint.rules import Spot
from polyyolo.quantization.mend_wiring import bypass
from polyyolo.quantization.topology import identity, weight_of

_LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255)}


def make_symmetric(graph: gs.Graph, spot: Spot) -> None:  # noqa: ARG001 - what every mender takes
    """Quantize to INT8 with zero-point 0, so that the range that was covered still is.

    Stored integers are counted anew; weights have their own largest magnitude as the range.
    """
    for pair in spot.pairs:
        scale = half_scale(np.asarray(_amax(pair) / LEVELS))
        if pair.quantize is None:
            _store(pair, scale)
        _set_scale(pair, scale)


def widen_channels(graph: gs.Graph, spot: Spot) -> None:  # noqa: ARG001 - what every mender takes
    """Give an activation the widest of its channels' scales."""
    for pair in spot.pairs:
        _set_scale(pair, known(pair.scale).max())


def tie(graph: gs.Graph, spot: Spot) -> None:  # noqa: ARG001 - what every mender takes
    """Give all pairs the widest scale among them."""
    widest = max(float(known(pair.scale).item()) for pair in spot.pairs)
    for pair in spot.pairs:
        _set_scale(pair, np.asarray(widest))


def rescale_weight(graph: gs.Graph, spot: Spot) -> None:  # noqa: ARG001 - what every mender takes
    """Give float weights a scale for each output; stored ones keep theirs, on the axis of the outputs."""
    for node in spot.readers:
        axis = channel_axis(node, known(weight_of(node)))
        for pair in spot.pairs:
            if pair.quantize is None:
                pair.nodes[0].attrs["axis"] = axis
            else:
                _set_scale(pair, weight_scales(pair.values, axis), axis)


def repair_scale(graph: gs.Graph, spot: Spot) -> None:
    """Compute weights' scales again; let whoever read an activation with a broken scale read float."""
    for pair in spot.pairs:
        if pair.stored is None or pair.quantize is None:
            bypass(graph, spot)
        elif known(pair.scale).size > 1:
            _set_scale(pair, weight_scales(pair.values, pair.axis), pair.axis)
        else:
            _set_scale(pair, half_scale(np.abs(pair.values).max() / LEVELS))


def _amax(pair: Pair) -> Values:
    """Give the largest magnitude that a pair must hold, one for each of its scales."""
    scale, shift = known(pair.scale), known(pair.zero_point)
    if pair.stored is None:
        ends = [np.abs((limit - shift) * scale) for limit in _LIMITS[pair.type]]
        return np.asarray(np.maximum(*ends))
    values = np.abs(pair.values)
    if scale.size == 1:
        return np.full(scale.shape, values.max())
    return np.asarray(values.max(axis=tuple(index for index in range(values.ndim) if index != pair.axis % values.ndim)))


def _store(pair: Pair, scale: Values) -> None:
    """Store a constant's values as INT8 under a new scale."""
    node = pair.nodes[0]
    values = pair.values
    along = [-1 if index == pair.axis % values.ndim else 1 for index in range(values.ndim)] if scale.size > 1 else []
    counted = np.rint(values / scale.reshape(along))
    node.inputs[0] = gs.Constant(f"{identity(node)}_int8", np.clip(counted, -LEVELS, LEVELS).astype(np.int8))


def _set_scale(pair: Pair, scale: Values, axis: int | None = None) -> None:
    """Give every node of a pair this scale, in the type that its scale has, INT8 and zero-point 0.

    Args:
        pair: whose nodes are changed.
        scale: one number, or one for each channel.
        axis: of the channels; as it was where not given.
    """
    first, along = pair.nodes[0], pair.axis if axis is None else axis
    kind = known(fixed(first.inputs[1])).values.dtype
    constants = [
        gs.Constant(f"{identity(first)}_mended_scale", np.asarray(scale, kind)),
        gs.Constant(f"{identity(first)}_mended_zero_point", np.zeros(np.shape(scale), np.int8)),
    ]
    for node in pair.nodes:
        node.inputs = [node.inputs[0], *constants]
        if node.op == "QuantizeLinear":
            node.outputs[0].dtype = np.int8
        node.attrs = {} if np.size(scale) == 1 else {"axis": along}
