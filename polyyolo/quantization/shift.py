"""INT8 around another number than 0, for values that hardly go below 0.

SiLU gives nothing below -0.28, so that INT8 around 0 leaves half of its levels unused. Where a constant is taken off
before Q, they are all used, and the rounding error is half as large; a convolution behind gives the constant back in
its bias. TensorRT 8.6.0 computes the subtraction in the kernel of the convolution and its SiLU, for half a microsecond
or less on an H200. A convolution that pads its input cannot read such values, since what it adds is 0 of INT8.

What Concat and the like bring together could be shifted alike, and the sums of residual Adds. On YOLOv5s that made 40
tensors in the place of 11, the engine 5% slower in the place of 1.6%, and the boxes hardly better.
"""

from collections.abc import Collection, Sequence

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from polyyolo.passes.surgery import free_name
from polyyolo.quantization.topology import activations, data_of, gated, identity, producer

SILU, HARD_SWISH, MISH, GELU = -0.2785, -0.375, -0.3089, -0.17
"""Lower bounds of activation functions, of Swish and HardSwish with ONNX's defaults."""
_LOWEST = {"Relu": 0.0, "Sigmoid": 0.0, "HardSwish": HARD_SWISH, "Mish": MISH, "Gelu": GELU}
_GATED = {("Sigmoid",): SILU, ("Softplus", "Tanh"): MISH}


def shiftable(graph: gs.Graph, nodes: Collection[str], groups: Sequence[Sequence[str]]) -> dict[str, float]:
    """Find the tensors whose INT8 need not be around 0: convolutions that add no zeros read it, and nothing else.

    Args:
        graph: sorted topologically, without Q/DQ.
        nodes: identities of the weighted nodes in INT8.
        groups: names of tensors that share one scale; only what shares it with none is found.

    Returns:
        name of a tensor -> what none of its values is below.
    """
    tensors = graph.tensors()
    alone = [tensors[group[0]] for group in groups if len(group) == 1]
    found = {tensor.name: _lowest(tensor) for tensor in alone if _takes_shift(tensor, nodes)}
    return {name: lowest for name, lowest in found.items() if lowest is not None}


def _lowest(tensor: gs.Tensor) -> float | None:
    """Give what no value that an activation function made is below; None where that is not known."""
    node = producer(tensor)
    if node is None:
        return None
    if node.op == "Mul":
        return _gated_bound(node)
    if node.op == "Swish":
        alpha = float(node.attrs.get("alpha", 1.0))
        return SILU / alpha if alpha > 0 else None
    return _LOWEST.get(node.op)


def _gated_bound(node: gs.Node) -> float | None:
    """Give the lower bound of x times a gate of x; None where it is something else."""
    value = gated(node)
    if value is None:
        return None
    gate: gs.Tensor = next(tensor for tensor in activations(node) if tensor is not value)
    gates: tuple[gs.Node, ...] = ()
    while gate is not value:
        gates = (gate.inputs[0], *gates)
        gate = gates[0].inputs[0]
    ops = tuple(each.op for each in gates)
    return _hard_bound(gates[0]) if ops == ("HardSigmoid",) else _GATED.get(ops)


def _hard_bound(node: gs.Node) -> float | None:
    """Give the lowest of x * clip(alpha x + beta, 0, 1), where the slope meets 0 before 1."""
    alpha, beta = float(node.attrs.get("alpha", 0.2)), float(node.attrs.get("beta", 0.5))
    return -(beta**2) / (4 * alpha) if alpha > 0 and 0 <= beta <= 1 else None


def _takes_shift(tensor: gs.Tensor, nodes: Collection[str]) -> bool:
    """Whether all that reads a tensor's INT8 can do with a shifted one; a residual Add may read it, and cannot."""
    readers = [node for node in tensor.outputs if identity(node) in nodes and data_of(node) is tensor]
    added = any(node.op == "Add" and len(activations(node)) == 2 for node in tensor.outputs)
    return not added and all(map(_adds_no_zeros, readers))


def _adds_no_zeros(node: gs.Node) -> bool:
    """Whether a weighted node is a convolution that reads nothing but its input, and whose bias can be changed."""
    unpadded = node.attrs.get("auto_pad", "NOTSET") in {"NOTSET", "VALID"} and not any(node.attrs.get("pads", ()))
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    return node.op == "Conv" and unpadded and (bias is None or bias.is_empty() or isinstance(bias, gs.Constant))


def taken_off(graph: gs.Graph, tensor: gs.Tensor, middle: float, taken: set[str]) -> gs.Variable:
    """Append the subtraction of a grid's middle behind a tensor, and give what comes out.

    Args:
        graph: changed.
        tensor: what is read.
        middle: what is taken off.
        taken: names that are in use in the graph; those made here are added.
    """
    shifted = gs.Variable(free_name(f"{tensor.name}_shifted", taken), np.float32)
    constant = gs.Constant(free_name(f"{tensor.name}_middle", taken), np.array(-middle, np.float32))
    name = free_name(f"{tensor.name}_shift", taken)
    graph.nodes.append(gs.Node("Add", name, inputs=[tensor, constant], outputs=[shifted]))
    return shifted


def before_shift(tensor: gs.Tensor) -> tuple[gs.Tensor, float]:
    """Give what Q reads without the shift before it, and the middle; the tensor itself and 0 where there is none.

    A constant that is added to anything but what an activation function made is the model's own.
    """
    node = producer(tensor)
    if node is None or not adds_number(node) or not _may_be_shifted(activations(node)[0]):
        return tensor, 0.0
    alone = bool(tensor.outputs) and all(reader.op == "QuantizeLinear" for reader in tensor.outputs)
    constant = next(each for each in node.inputs if isinstance(each, gs.Constant))
    return (activations(node)[0], -float(constant.values.item())) if alone else (tensor, 0.0)


def is_read_as_int8(reader: gs.Node) -> bool:
    """Whether a node is Q, or what takes a constant off for Q alone."""
    shifts = reader.op in ("Add", "Sub") and reader.outputs[0].outputs
    return reader.op == "QuantizeLinear" or bool(
        shifts and all(node.op == "QuantizeLinear" for node in reader.outputs[0].outputs)
    )


def adds_number(node: gs.Node) -> bool:
    """Whether a node adds one constant number to a tensor, as a shift does."""
    constants = [tensor for tensor in node.inputs if isinstance(tensor, gs.Constant)]
    return node.op == "Add" and len(activations(node)) == len(constants) == 1 and constants[0].values.size == 1


def _may_be_shifted(tensor: gs.Tensor) -> bool:
    """Whether an activation function made a tensor, or a product that may be x times any form of a gate of x."""
    node = producer(tensor)
    return node is not None and (node.op in {"Swish", *_LOWEST} or (node.op == "Mul" and len(activations(node)) == 2))


def given_back(node: gs.Node, weight: NDArray[np.float32], middle: float) -> None:
    """Put into the bias of a convolution what its shifted input lacks.

    Args:
        node: changed.
        weight: (outputs, inputs of a group, ...) as INT8 holds it.
        middle: of its input's grid.
    """
    lacking = weight.sum(axis=tuple(range(1, weight.ndim)), dtype=np.float64) * middle
    add_to_bias(node, lacking, f"{identity(node)}_shifted_bias")


def add_to_bias(conv: gs.Node, values: NDArray[np.floating], name: str) -> None:
    """Let a convolution with a constant bias, or with none, add numbers to its outputs, one for each channel.

    Args:
        conv: changed.
        values: (outputs).
        name: of the new bias.
    """
    bias = conv.inputs[2] if len(conv.inputs) > 2 and not conv.inputs[2].is_empty() else None
    total = values if bias is None else bias.values + values
    conv.inputs = [*conv.inputs[:2], gs.Constant(name, np.asarray(total, np.float32))]
