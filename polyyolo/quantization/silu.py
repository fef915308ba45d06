"""SiLU written in another way, so that TensorRT does not fuse it into the convolution before it."""

from collections.abc import Container

import numpy as np
import onnx_graphsurgeon as gs

from polyyolo.quantization.topology import data_of, gated, identity, is_conv_on_picture


def compute_apart(graph: gs.Graph, in_int8: Container[str]) -> None:
    """Write the SiLU between a float convolution of the picture and Q as x * (tanh(x / 2) / 2 + 1 / 2), the same.

    TensorRT 8.6.0 fuses x * sigmoid(x) into a float convolution that Q follows, and where that convolution reads the
    picture it has no such kernel for FP16: the convolution and the conversions on both of its sides run in FP32,
    whatever the flags and constraints. Apart from each other, the convolution runs in FP16, and SiLU writes INT8. On an
    H200 that took 15 of 84 microseconds off the first four stages of YOLOv5s at batch 1, and 112 of 429 at batch 8.

    Args:
        graph: in FP32; changed.
        in_int8: names of the tensors that Q is to follow.
    """
    for conv in filter(is_conv_on_picture, list(graph.nodes)):
        value = conv.outputs[0]
        gates = [tensor for node in value.outputs if node.op == "Sigmoid" for tensor in node.outputs]
        product = next((node for gate in gates for node in gate.outputs if gated(node) is value), None)
        if product is not None and product.outputs[0].name in in_int8 and data_of(conv).name not in in_int8:
            product.inputs = [value, _gate(graph, value, identity(conv))]


def _gate(graph: gs.Graph, value: gs.Tensor, name: str) -> gs.Tensor:
    """Compute sigmoid(x) by tanh."""
    half = gs.Constant(f"{name}_half", np.array(0.5, np.float32))
    tensor = value
    for place, (op, others) in enumerate((("Mul", [half]), ("Tanh", []), ("Mul", [half]), ("Add", [half]))):
        made = gs.Variable(f"{name}_gate_{place}", np.float32)
        graph.nodes.append(gs.Node(op, made.name, inputs=[tensor, *others], outputs=[made]))
        tensor = made
    return tensor
