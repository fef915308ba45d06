"""What follows a convolution of the picture, written so that TensorRT has a fast kernel for that convolution.

On an H200 with TensorRT 8.6.0 this took 15 of 84 microseconds off the first four stages of YOLOv5s at batch 1 (SiLU
behind a convolution in float), and 14 of 161 off the whole of YOLOv4-tiny (LeakyReLU behind one in INT8).
"""

from collections.abc import Container, Iterator

import numpy as np
import onnx_graphsurgeon as gs

from polyyolo.quantization.topology import (
    data_of,
    gated,
    identity,
    is_conv_on_picture,
    is_wide_on_picture,
    producer,
    weight_of,
)

STEEPEST = 0.125
"""Slope of a LeakyReLU up to which INT8 may come before it: what is clipped there counts that much less; darknet's
is 0.1."""
FARTHEST = 2.0
"""How many times the range of what LeakyReLU makes the range of its input may be, where INT8 comes before it: what lies
beyond once that range is negative, and clipped."""
FEW = 4
"""Channels of a picture up to which there is such a kernel."""


def compute_apart(graph: gs.Graph, in_int8: Container[str]) -> None:
    """Write the SiLU between a float convolution and Q as x * (tanh(x / 2) / 2 + 1 / 2), the same.

    TensorRT 8.6.0 fuses x * sigmoid(x) into a float convolution that Q follows, and where that convolution reads the
    picture it has no such kernel for FP16: the convolution and the conversions on both of its sides run in FP32,
    whatever the flags and constraints. Apart from each other, the convolution runs in FP16, and SiLU writes INT8.

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


def early_relus(graph: gs.Graph) -> Iterator[tuple[str, str]]:
    """Find the LeakyReLUs before which INT8 can begin, with the scale of what comes behind them.

    TensorRT 8.6.0 does not fuse LeakyReLU into an INT8 convolution of the picture. Where that has to write floats for
    it, the picture's channels are filled up to 32; where it writes INT8, up to 4. With the scale of what LeakyReLU
    makes, a positive value comes to the same number as without; a negative one is rounded twice, before LeakyReLU in
    steps that it makes small, and clipped where it is below -128 of them.

    Yields:
        names of the tensors before and behind: what a convolution of the picture makes for this LeakyReLU alone, and
        what that makes of it.
    """
    for leaky in graph.nodes:
        if leaky.op == "LeakyRelu" and abs(leaky.attrs.get("alpha", 0.01)) <= STEEPEST:
            before = leaky.inputs[0]
            conv = producer(before)
            alone = len(before.outputs) == 1 and before not in graph.outputs
            if conv is not None and alone and _reads_few_channels(conv):
                yield identity(conv), identity(leaky)


def fits_behind(before: float, behind: float) -> bool:
    """Whether the range before a LeakyReLU can do with the scale of the range behind it: little is clipped."""
    return before <= FARTHEST * behind


def _reads_few_channels(conv: gs.Node) -> bool:
    """Whether a node is a convolution of the picture for which INT8 has a kernel of 4 channels."""
    weight = weight_of(conv) if is_conv_on_picture(conv) and not is_wide_on_picture(conv) else None
    return weight is not None and conv.attrs.get("group", 1) == 1 and weight.shape[1] <= FEW


def _gate(graph: gs.Graph, value: gs.Tensor, name: str) -> gs.Tensor:
    """Compute sigmoid(x) by tanh."""
    half = gs.Constant(f"{name}_half", np.array(0.5, np.float32))
    tensor = value
    for place, (op, others) in enumerate((("Mul", [half]), ("Tanh", []), ("Mul", [half]), ("Add", [half]))):
        made = gs.Variable(f"{name}_gate_{place}", np.float32)
        graph.nodes.append(gs.Node(op, made.name, inputs=[tensor, *others], outputs=[made]))
        tensor = made
    return tensor
