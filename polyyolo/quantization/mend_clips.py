"""The Relu and Clip that a quantizer left out, since Q clips at 0 itself where its zero-point is the lowest integer."""

from math import isclose

import numpy as np
import onnx_graphsurgeon as gs

from polyyolo.quantization.lint.pairs import Pair, fixed, known
from polyyolo.quantization.topology import CARRIERS, carried, producer

_INTEGERS = frozenset({"INT8", "UINT8", "INT16", "UINT16"})
_NEVER_NEGATIVE = frozenset({"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt"})
_NO_LOWER_THAN_THEIR_INPUTS = frozenset({"Add", "AveragePool", "Cast", "Div", "GlobalAveragePool", "Identity", "Mul"})


def put_back_clips(graph: gs.Graph) -> None:
    """Put a Relu before each Q that gives nothing below 0, where what makes its values may; it changes no value.

    Without one, the values below 0 come through as soon as Q is symmetric, or somebody reads past it. A range that ends
    at a whole number, as ReLU6's, is that of a Clip: a measured end hardly ever is one.

    Args:
        graph: changed. What quantizes the picture is left: nothing can have stood before that.
    """
    for tensor in [output for node in graph.nodes for output in node.outputs]:
        pairs = [Pair(node, ()) for node in tensor.outputs if node.op == "QuantizeLinear"]
        clipping = [pair for pair in pairs if _begins_at_zero(pair)]
        if clipping and not _is_never_negative(tensor):
            clipped = _clipped(graph, tensor, max(map(_end, clipping)), known(clipping[0].quantize))
            for pair in clipping:
                pair.nodes[0].inputs[0] = clipped


def _begins_at_zero(pair: Pair) -> bool:
    """Whether the lowest integer of a pair means 0."""
    zero_point = pair.zero_point
    lowest = np.iinfo(pair.type.lower()).min if pair.type in _INTEGERS else None
    return zero_point is not None and bool(np.all(zero_point == lowest))


def _end(pair: Pair) -> float:
    """Give the highest value that the integers of a pair mean where the lowest means 0; infinity where unknown."""
    limits = np.iinfo(pair.type.lower())
    return np.inf if pair.scale is None else float(pair.scale.max()) * (limits.max - limits.min)


def _is_never_negative(tensor: gs.Tensor) -> bool:
    """Whether the operators that make a tensor give nothing below 0."""
    if isinstance(tensor, gs.Constant):
        return bool((tensor.values >= 0).all())
    node = producer(tensor)
    if node is None:
        return False
    if node.op == "DequantizeLinear":
        return _begins_at_zero(Pair(None, (node,)))
    if node.op == "Clip":
        return len(node.inputs) > 1 and _is_never_negative(node.inputs[1])
    if node.op in CARRIERS:
        return all(map(_is_never_negative, carried(node)))
    return node.op in _NEVER_NEGATIVE or (
        node.op in _NO_LOWER_THAN_THEIR_INPUTS and all(map(_is_never_negative, node.inputs))
    )


def _clipped(graph: gs.Graph, tensor: gs.Tensor, end: float, quantize: gs.Node) -> gs.Variable:
    """Append a Relu, or a Clip to a whole number, behind what is quantized, and give what comes out."""
    clipped = gs.Variable(f"{tensor.name}_clipped", tensor.dtype, tensor.shape)
    node = gs.Node("Relu", clipped.name, inputs=[tensor], outputs=[clipped])
    if 0 < end < np.inf and isclose(end, round(end), rel_tol=1e-6):
        kind = known(fixed(quantize.inputs[1])).values.dtype
        ends = {"from": 0, "to": round(end)}
        node.op = "Clip"
        node.inputs += [gs.Constant(f"{clipped.name}_{name}", np.asarray(value, kind)) for name, value in ends.items()]
    graph.nodes.append(node)
    return clipped
