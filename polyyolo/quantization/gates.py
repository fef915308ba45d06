"""SiLU behind a convolution, written so that TensorRT 8 has a fast kernel for both.

Seen in engines of TensorRT 8.6.0 on an H200. Where all that reads x * sigmoid(x) reads INT8, it is fused into an INT8
convolution. Where something reads it in float, it is not: the convolution writes FP32, and SiLU is a kernel of its own.
x * (tanh(x / 2) / 2 + 1 / 2), the same, is fused there into convolutions in INT8 and in float, which write FP16.

Behind a float convolution of the picture that Q follows it is the other way: x * sigmoid(x) is fused, into a kernel of
FP32, and the form with tanh is not, so that the convolution runs in FP16 and SiLU writes INT8.
"""

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from polyyolo.passes.surgery import free_name, names_of
from polyyolo.quantization.graph import exported, imported
from polyyolo.quantization.shift import is_read_as_int8
from polyyolo.quantization.topology import data_of, identity, is_conv_on_picture, is_weighted, producer, sigmoid_of

_STEPS = (("Mul", True), ("Tanh", False), ("Mul", True), ("Add", True))
"""What makes tanh(x / 2) / 2 + 1 / 2 of x, and whether with a constant of 1 / 2."""


def by_tanh(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give a Q/DQ model in FP32 with those SiLUs behind convolutions by tanh for which TensorRT 8 is faster then."""
    graph = imported(model)
    taken = names_of(graph)
    for product in [node for node in graph.nodes if node.op == "Mul"]:
        value = sigmoid_of(product)
        conv = producer(value) if value is not None else None
        if value is None or conv is None or conv.op != "Conv" or not is_weighted(conv):
            continue
        whole = product.outputs[0] not in graph.outputs and all(map(is_read_as_int8, product.outputs[0].outputs))
        if not whole or (is_conv_on_picture(conv) and producer(data_of(conv)) is None):
            _write_by_tanh(graph, product, value, identity(conv), taken)
    return exported(graph, like=model)


def write_by_sigmoid(graph: gs.Graph) -> None:
    """Write the SiLUs that ``by_tanh`` changed as they were, for TensorRT from 10 on."""
    for product in [node for node in graph.nodes if node.op == "Mul"]:
        for other, gate in (list(product.inputs), list(product.inputs)[::-1]):
            value = _behind_tanh(gate)
            if value is not None and value is other:
                gate.inputs.clear()
                graph.nodes.append(gs.Node("Sigmoid", gate.name, inputs=[value], outputs=[gate]))
                break


def _write_by_tanh(graph: gs.Graph, product: gs.Node, value: gs.Tensor, name: str, taken: set[str]) -> None:
    """Compute the sigmoid that a product takes by tanh; its name stays, if nothing else reads it.

    Args:
        graph: changed.
        product: of the value and its sigmoid.
        value: that the gate is of.
        name: how new names begin.
        taken: names that are in use; those made here are added.
    """
    half = gs.Constant(free_name(f"{name}_half", taken), np.array(0.5, np.float32))
    gate = next(tensor for tensor in product.inputs if tensor is not value)
    own = gate not in graph.outputs and len(gate.outputs) == 1
    names = [free_name(f"{name}_gate_{place}", taken) for place in range(len(_STEPS))]
    made = [gs.Variable(each, np.float32) for each in names]
    if own:
        gate.inputs.clear()
        made[-1] = gate
    tensor = value
    for (op, with_half), own_name, output in zip(_STEPS, names, made, strict=True):
        inputs = [tensor, half] if with_half else [tensor]
        graph.nodes.append(gs.Node(op, own_name, inputs=inputs, outputs=[output]))
        tensor = output
    product.inputs = [value, tensor]


def _behind_tanh(gate: gs.Tensor) -> gs.Tensor | None:
    """Give x where a tensor is tanh(x / 2) / 2 + 1 / 2; else None."""
    tensor = gate
    for op, with_half in reversed(_STEPS):
        node = producer(tensor)
        if node is None or node.op != op or (with_half and not _is_half(node.inputs[1])):
            return None
        tensor = node.inputs[0]
    return tensor


def _is_half(tensor: gs.Tensor) -> bool:
    return isinstance(tensor, gs.Constant) and tensor.values.size == 1 and float(tensor.values.item()) == 0.5
