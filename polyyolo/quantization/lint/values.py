"""Rules about the numbers of a Q/DQ pair: types, zero-points, scales, axes."""

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs

from polyyolo.models.rounding import HALF_SCALES
from polyyolo.models.spec import INTEGERS
from polyyolo.quantization.insertion import channel_axis
from polyyolo.quantization.lint.pairs import Pair, known, type_name, usable, zero_point_of
from polyyolo.quantization.lint.rules import Spot
from polyyolo.quantization.lint.view import View, title
from polyyolo.quantization.opset import AXIS_OPSET
from polyyolo.quantization.topology import is_weighted, weight_of

# Up to operator set 22 a scale has the type of the values.
MIXED_OPSET = 23


def integer_operators(view: View) -> Iterator[Spot]:
    """Nodes that compute with integers themselves, as ONNX Runtime's QOperator format has them."""
    for node in view.graph.nodes:
        if node.op.startswith(INTEGERS):
            yield Spot((title(node),), node.op, mendable=False)


def types(view: View) -> Iterator[Spot]:
    """Anything but INT8; a bias is another rule's."""
    for pair in view.pairs:
        if pair.type != "INT8" and not pair.is_bias:
            missing = "" if zero_point_of(pair.nodes[0]) is not None else ", for want of a zero-point"
            yield Spot((pair.name,), pair.type + missing, (pair,), mendable=can_be_symmetric(pair))


def zero_points(view: View) -> Iterator[Spot]:
    """INT8 with a zero-point that is not 0."""
    for pair in view.pairs:
        shift = pair.zero_point
        if pair.type == "INT8" and (shift is None or shift.any()):
            detail = "computed" if shift is None else f"zero-point {_span(shift)}"
            yield Spot((pair.name,), detail, (pair,), mendable=can_be_symmetric(pair))


def scales(view: View) -> Iterator[Spot]:
    """Scales that are not finite numbers above 0, or that no constant holds."""
    for pair in view.pairs:
        scale = pair.scale
        if scale is None:
            yield Spot((pair.name,), "computed while the model runs", (pair,), mendable=False)
        elif not usable(scale):
            wrong = scale[~(np.isfinite(scale) & (scale > 0))]
            detail = f"{wrong.flat[0]:g}, {wrong.size} of {scale.size}"
            yield Spot((pair.name,), detail, (pair,), pair.readers, mendable=pair.quantize is not None)


def computed_numbers(view: View) -> Iterator[Spot]:
    """Scales and zero-points that nodes compute from constants."""
    for pair in view.pairs:
        makers = dict.fromkeys(tensor.inputs[0].op for tensor in pair.computed)
        if makers:
            yield Spot((pair.name,), f"by {', '.join(makers)}", (pair,))


def mismatches(view: View) -> Iterator[Spot]:
    """QuantizeLinear and DequantizeLinear of one pair with other numbers."""
    for pair in view.pairs:
        comparable = pair.type in {"INT8", "UINT8"} and pair.scale is not None and usable(pair.scale)
        for node in pair.dequantize if comparable and pair.quantize is not None else ():
            alone = Pair(None, (node,))
            if not Pair(pair.quantize, (node,)).is_matched:
                detail = f"scale {_span(pair.scale)} in, {_span(alone.scale)} out"
                yield Spot((pair.name,), detail, (pair,), mendable=False)


def per_channel_activations(view: View) -> Iterator[Spot]:
    """A scale for each channel of a computed tensor."""
    for pair in view.activations():
        if pair.scale is not None and pair.scale.size > 1:
            mendable = usable(pair.scale) and pair.is_matched
            yield Spot((pair.name,), f"{pair.scale.size} scales", (pair,), mendable=mendable)


def weight_axes(view: View) -> Iterator[Spot]:
    """Weights whose scales lie along another axis than the outputs, or are not as many."""
    for node, pair in _weights(view):
        scale, weight = pair.scale, weight_of(node)
        if scale is None or weight is None or scale.size == 1:
            continue
        axis = channel_axis(node, weight)
        given = pair.named_axis % len(weight.shape)
        if scale.ndim > 1 or given != axis or scale.size != weight.shape[axis]:
            detail = f"{scale.size} scales on axis {given}, {weight.shape[axis]} outputs on axis {axis}"
            mendable = view.graph.opset >= AXIS_OPSET and (pair.quantize is not None or _belongs_on(pair, axis))
            yield Spot((pair.name,), detail, (pair,), (node,), mendable)


def per_tensor_weights(view: View) -> Iterator[Spot]:
    """Weights with one scale for all outputs."""
    for node, pair in _weights(view):
        scale, weight = pair.scale, weight_of(node)
        if scale is not None and weight is not None and scale.size == 1 < weight.shape[channel_axis(node, weight)]:
            kept = _can_be_rescaled(view, pair)
            detail = "" if kept else "rounded already: only the float weights could be quantized better"
            yield Spot((pair.name,), detail, (pair,), (node,), mendable=kept)


def opsets(view: View) -> Iterator[Spot]:
    """Q/DQ nodes that the model's operator set does not have."""
    opset = view.graph.opset
    for pair in view.pairs:
        kind, values = type_name(pair.nodes[0].inputs[1]), type_name(pair.source)
        if kind == "FLOAT16" and opset < HALF_SCALES:
            yield Spot((pair.name,), f"FP16 scale in opset {opset}, allowed from {HALF_SCALES} on", mendable=False)
        elif opset < MIXED_OPSET and {kind, values} == {"FLOAT", "FLOAT16"}:
            yield Spot((pair.name,), f"{kind} scale for {values} values", mendable=False)
        if pair.scale is not None and pair.scale.size > 1 and opset < AXIS_OPSET:
            detail = f"a scale for each channel in opset {opset}, allowed from {AXIS_OPSET} on"
            yield Spot((pair.name,), detail, mendable=False)


def can_be_symmetric(pair: Pair) -> bool:
    """Whether the range that a pair covers can be told and is one that INT8 has."""
    whole = pair.stored is not None if pair.quantize is None else _is_read_back(pair.quantize)
    return (
        whole
        and pair.is_matched
        and pair.type in {"INT8", "UINT8"}
        and pair.zero_point is not None
        and pair.scale is not None
        and pair.scale.ndim < 2
        and usable(pair.scale)
    )


def _is_read_back(quantize: gs.Node) -> bool:
    """Whether nothing but DequantizeLinear reads the integers."""
    readers = quantize.outputs[0].outputs
    return bool(readers) and all(node.op == "DequantizeLinear" for node in readers)


def _weights(view: View) -> Iterator[tuple[gs.Node, Pair]]:
    """Go through weighted nodes with the pair on their weights; the head's too, but not the decode's."""
    for node in view.graph.nodes:
        if is_weighted(node) and node.outputs[0].name not in view.decode:
            for pair in filter(None, map(view.pair_before, node.inputs[:2])):
                if pair.stored is not None:
                    yield node, pair


def _can_be_rescaled(view: View, pair: Pair) -> bool:
    return pair.quantize is not None and view.graph.opset >= AXIS_OPSET


def _belongs_on(pair: Pair, axis: int) -> bool:
    """Whether the scales of stored weights lie on this axis, though their node names none or one that does not fit.

    Where it names none, an exporter forgot it, also where ONNX's default happens to have as many channels.
    """
    as_many = known(pair.scale).size == known(pair.stored).shape[axis]
    return as_many and (pair.axis == axis or "axis" not in pair.nodes[0].attrs)


def _span(values: np.ndarray | None) -> str:
    if values is None:
        return "computed"
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
