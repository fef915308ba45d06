"""Where INT8 begins before the activation function behind a convolution, and not behind it alone.

TensorRT 8 is faster then, as seen on an H200 with TensorRT 8.6.0. Where Q follows LeakyReLU, both are fused into
kernels made for Ampere only; where Q stands before LeakyReLU, too, as in implicit INT8, into kernels made for Hopper.
For an INT8 convolution of a picture of up to 4 channels there are kernels of 1 x 1, 3 x 3 and 7 x 7; into those no
LeakyReLU is fused, and SiLU into that of 3 x 3 alone. Where the convolution has to do so, or has another kernel, the
channels are filled up to 32; where it writes INT8 for the function to read, they are not.
"""

import math
from collections.abc import Iterator

import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.quantization.topology import (
    QUANTIZING,
    identity,
    is_conv_on_picture,
    origin,
    producer,
    sigmoid_of,
    weight_of,
)

STEEPEST = 0.125
"""Slope of a LeakyReLU up to which INT8 may come before it: what is clipped there counts that much less; darknet's
is 0.1."""
FARTHEST = 2.0
"""How many times the range of what LeakyReLU makes the range of its input may be, where INT8 comes before it: what lies
beyond once that range is negative, and clipped."""
LEAST = 6.0
"""The range of what SiLU makes from which on INT8 may come before it: what SiLU makes of the numbers that are clipped
there, below -6, is less than half a step."""
FEW = 4
"""Channels of a picture up to which a convolution that writes INT8 has a kernel of its own."""
WITH_SILU, ALONE = 3, 7
"""Rows and columns of the largest such kernel into which SiLU is fused, and of the one into which nothing is."""
MANY = 1152
"""Products that a convolution sums up for a value, from which on it is faster: 128 channels of a 3 x 3 kernel. One of
64 channels took 66 us with Q behind LeakyReLU and 61 in implicit INT8, smaller ones the same in both."""


@frozen
class Early:
    """An activation function before which INT8 can begin, with the scale of what comes behind it.

    With that scale a large positive value comes to the same number as without; any other is rounded twice.

    Attributes:
        before: name of the tensor that a convolution makes for this function alone.
        behind: name of what the function makes of it.
        farthest: how many times the range behind the range before may be.
        least: what the range behind must be.
    """

    before: str
    behind: str
    farthest: float = math.inf
    least: float = 0.0

    def fits(self, before: float, behind: float) -> bool:
        """Whether a tensor of one range can do with the scale of the other's range: little is clipped."""
        return before <= self.farthest * behind and behind >= self.least


def early_starts(graph: gs.Graph) -> Iterator[Early]:
    """Find the activation functions before which INT8 can begin."""
    for node in graph.nodes:
        before = _read(node)
        if before is None or before in graph.outputs:
            continue
        conv, readers = producer(before), len(before.outputs)
        if node.op == "LeakyRelu" and readers == 1 and _gains_before_leaky_relu(conv):
            yield Early(before.name, identity(node), farthest=FARTHEST)
        elif node.op == "Mul" and readers == len(node.inputs) and _is_alone_on_picture(conv):
            yield Early(before.name, identity(node), least=LEAST)


def begin_behind(graph: gs.Graph) -> None:
    """Let INT8 begin behind an activation function alone where it begins before it with the same scale.

    For TensorRT from 10 on: there NVIDIA advises against Q between a convolution and its activation function, and it
    was not measured.
    """
    for node in graph.nodes:
        value = _read(node)
        if value is None or node.outputs[0] in graph.outputs:
            continue
        before, scales = origin(value, QUANTIZING), _scales_around(value, node)
        gains = _gains_before_leaky_relu if node.op == "LeakyRelu" else _is_alone_on_picture
        if len(scales) == 1 and None not in scales and gains(producer(before)):
            for reader in list(value.outputs):
                reader.inputs = [before if tensor is value else tensor for tensor in reader.inputs]


def is_slow_on_picture(conv: gs.Node) -> bool:
    """Whether INT8 makes a convolution of the picture slower: TensorRT fills its channels up to 32.

    TensorRT 8.6.0 on an H200, one picture of 8, with all up to the fourth stage of the model: 66 microseconds in INT8
    against 40 in FP16 for YOLOv5's 6 x 6, and 30 against 42 for YOLOv8's 3 x 3.
    """
    weight = weight_of(conv) if is_conv_on_picture(conv) else None
    if weight is None or max(weight.shape[2:]) <= WITH_SILU:
        return False
    readers = conv.outputs[0].outputs
    return not (_is_alone_on_picture(conv) and any(_read(node) is conv.outputs[0] for node in readers))


def _read(node: gs.Node) -> gs.Tensor | None:
    """Give what an activation function reads before which INT8 may begin: a LeakyReLU, or the product of SiLU."""
    if node.op == "LeakyRelu":
        return node.inputs[0] if abs(node.attrs.get("alpha", 0.01)) <= STEEPEST else None
    return sigmoid_of(node)


def _gains_before_leaky_relu(conv: gs.Node | None) -> bool:
    """Whether a node is a convolution that is faster where it writes INT8 for LeakyReLU."""
    weight = _kernel(conv)
    if conv is None or weight is None:
        return False
    if is_conv_on_picture(conv):
        return weight.shape[1] <= FEW and (max(weight.shape[2:]) <= WITH_SILU or _is_alone_on_picture(conv))
    summed: int = math.prod(weight.shape[1:])
    return summed >= MANY


def _is_alone_on_picture(conv: gs.Node | None) -> bool:
    """Whether a node is a convolution of the picture with a kernel into which TensorRT fuses no function in INT8."""
    weight = _kernel(conv)
    if conv is None or weight is None or not is_conv_on_picture(conv):
        return False
    steps = conv.attrs.get("strides", [1, 1])
    return weight.shape[1] <= FEW and set(weight.shape[2:]) == {ALONE} and steps in ([1, 1], [2, 2])


def _kernel(conv: gs.Node | None) -> gs.Constant | None:
    """Give the weights of a convolution whose outputs all read all of its inputs."""
    plain = conv is not None and conv.op == "Conv" and conv.attrs.get("group", 1) == 1
    return weight_of(conv) if conv is not None and plain else None


def _scales_around(value: gs.Tensor, function: gs.Node) -> set[bytes | None]:
    """Collect the scales of the DQ that a function reads and of each Q that reads it; None for any other node."""
    around = [producer(value), *function.outputs[0].outputs]
    constants = [node.inputs[1] if node is not None and node.op in QUANTIZING else None for node in around]
    return {each.values.tobytes() if isinstance(each, gs.Constant) else None for each in constants}
