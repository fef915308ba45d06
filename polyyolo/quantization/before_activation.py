"""Where INT8 begins before the activation function behind a convolution, and not behind it alone.

TensorRT 8 is faster then, as seen on an H200 with TensorRT 8.6.0. Where Q follows LeakyReLU, both are fused into
kernels made for Ampere only; where Q stands before LeakyReLU, too, as in implicit INT8, into kernels made for Hopper.
For an INT8 convolution of a picture of up to 4 channels there are kernels of 1 x 1, 3 x 3 and 7 x 7; into those no
LeakyReLU is fused, and SiLU into that of 3 x 3 alone. Where the convolution has to do so, or has another kernel, the
channels are filled up to 32; where it writes INT8 for the function to read, they are not.
"""

import math
from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.passes.surgery import free_name, names_of, read_instead
from polyyolo.quantization.shift import add_to_bias, adds_number, is_read_as_int8
from polyyolo.quantization.topology import (
    QUANTIZING,
    activations,
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
LOWEST = -6.0
"""Where numbers before SiLU are clipped, if its range is larger: what it makes of those below is less than half a step
then. So few of the levels are below 0; most are where SiLU gives back what it reads."""
FEW = 4
"""Channels of a picture up to which a convolution that writes INT8 has a kernel of its own."""
WITH_SILU, ALONE = 3, 7
"""Rows and columns of the largest such kernel into which SiLU is fused, and of the one into which nothing is."""
MANY = 1152
"""Products that a convolution sums up for a value, from which on it is faster: 128 channels of a 3 x 3 kernel. One of
64 channels took 66 us with Q behind LeakyReLU and 61 in implicit INT8, smaller ones the same in both."""


@frozen
class Early:
    """An activation function before which INT8 can begin.

    Before LeakyReLU it has the scale of what comes behind: a positive value comes to the same number as without, a
    negative one is rounded twice. Before SiLU it reaches from ``lowest`` to the largest value behind; the middle is
    taken off by the convolution's bias, and added again behind DQ.

    Attributes:
        before: name of the tensor that a convolution makes for this function alone.
        behind: name of what the function makes of it.
        lowest: below which nothing counts; None before LeakyReLU.
    """

    before: str
    behind: str
    lowest: float | None = None

    @property
    def measured(self) -> tuple[str, ...]:
        """What a table must tell of the range before: that of LeakyReLU must be known, to fit."""
        return (self.before,) if self.lowest is None else ()

    def fits(self, before: float, behind: float) -> bool:
        """Whether a tensor of one range can do with the scale of the other's range: little is clipped."""
        return before <= FARTHEST * behind


def early_starts(graph: gs.Graph) -> Iterator[Early]:
    """Find the activation functions before which INT8 can begin."""
    for node in graph.nodes:
        before = _read(node)
        if before is None or before in graph.outputs or not _reads_alone(node, before):
            continue
        conv = producer(before)
        if node.op == "LeakyRelu" and _gains_before_leaky_relu(conv):
            yield Early(before.name, identity(node))
        elif node.op == "Mul" and _is_alone_on_picture(conv):
            yield Early(before.name, identity(node), LOWEST)


def middle_moved(conv: gs.Node, middle: float, name: str) -> None:
    """Let a convolution make numbers that are smaller by a constant, by its bias, which gets a name."""
    weight = weight_of(conv)
    assert weight is not None  # noqa: S101 - it is one of ``early_starts``
    add_to_bias(conv, np.full(weight.shape[0], -middle, np.float32), name)


def begin_behind(graph: gs.Graph) -> None:
    """Let INT8 begin behind an activation function alone where ``insert`` let it begin before it, too.

    For TensorRT from 10 on: there NVIDIA advises against Q between a convolution and its activation function, and it
    was not measured.
    """
    names = names_of(graph)
    for node in graph.nodes:
        value = _read(node)
        if value is None or node.outputs[0] in graph.outputs:
            continue
        restored, middle = _without_middle(value)
        before = origin(restored, QUANTIZING)
        conv = producer(before)
        if node.op == "LeakyRelu":
            scales = _scales_around(node)
            early = len(scales) == 1 and None not in scales and _gains_before_leaky_relu(conv)
        else:
            early = _is_alone_on_picture(conv) and _is_early_silu(graph, node, value, restored)
        if conv is not None and early:
            if middle:
                middle_moved(conv, -middle, free_name(f"{identity(conv)}_bias", names))
            read_instead(value.outputs, value, before)


def is_wide_on_picture(conv: gs.Node) -> bool:
    """Whether a convolution reads the picture with a kernel into which TensorRT fuses no function in INT8.

    Where it has to, it fills the channels up to 32. TensorRT 8.6.0 on an H200, one picture of 8, with all up to the
    fourth stage of the model: 66 microseconds in INT8 against 40 in FP16 for YOLOv5's 6 x 6, and 30 against 42 for
    YOLOv8's 3 x 3.
    """
    weight = weight_of(conv) if is_conv_on_picture(conv) else None
    return weight is not None and max(weight.shape[2:]) > WITH_SILU


def writes_int8_alone(conv: gs.Node) -> bool:
    """Whether a convolution of the picture in a Q/DQ model has a kernel that fuses nothing, and nothing to fuse."""
    return _is_alone_on_picture(conv) and all(reader.op == "QuantizeLinear" for reader in conv.outputs[0].outputs)


def _read(node: gs.Node) -> gs.Tensor | None:
    """Give what an activation function reads before which INT8 may begin: a LeakyReLU, or the product of SiLU."""
    if node.op == "LeakyRelu":
        return node.inputs[0] if abs(node.attrs.get("alpha", 0.01)) <= STEEPEST else None
    return sigmoid_of(node)


def _reads_alone(function: gs.Node, value: gs.Tensor) -> bool:
    """Whether nothing but a function reads a tensor, and the gate of it."""
    own = {id(node) for node in (function, *map(producer, function.inputs))}
    return all(id(reader) in own for reader in value.outputs)


def _without_middle(value: gs.Tensor) -> tuple[gs.Tensor, float]:
    """Give what a function reads without the middle that is added behind DQ, and that; 0 where there is none."""
    node = producer(value)
    if node is None or not adds_number(node):
        return value, 0.0
    restored = activations(node)[0]
    made_by = producer(restored)
    constant = next(each for each in node.inputs if isinstance(each, gs.Constant))
    is_ours = made_by is not None and made_by.op == "DequantizeLinear"
    return (restored, float(constant.values.item())) if is_ours else (value, 0.0)


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
    """Whether a node is a convolution for which TensorRT has an INT8 kernel for pictures without a function."""
    weight = _kernel(conv)
    if conv is None or weight is None or not is_conv_on_picture(conv):
        return False
    steps = conv.attrs.get("strides", [1, 1])
    few = weight.shape[1] <= FEW and set(weight.shape[2:]) == {ALONE} and steps in ([1, 1], [2, 2])
    return few and all(isinstance(bias, gs.Constant) or bias.is_empty() for bias in conv.inputs[2:])


def _kernel(conv: gs.Node | None) -> gs.Constant | None:
    """Give the weights of a convolution whose outputs all read all of its inputs."""
    plain = conv is not None and conv.op == "Conv" and conv.attrs.get("group", 1) == 1
    return weight_of(conv) if conv is not None and plain else None


def _is_early_silu(graph: gs.Graph, product: gs.Node, value: gs.Tensor, restored: gs.Tensor) -> bool:
    """Whether SiLU of a value alone reads what DQ restores of what Q alone reads, and all read SiLU as INT8."""
    dequantize = producer(restored)
    quantize = producer(dequantize.inputs[0]) if dequantize is not None and dequantize.op in QUANTIZING else None
    if dequantize is None or quantize is None or quantize.op != "QuantizeLinear":
        return False
    on_the_way = (quantize.inputs[0], quantize.outputs[0], *([] if value is restored else [restored]))
    alone = all(len(tensor.outputs) == 1 and tensor not in graph.outputs for tensor in on_the_way)
    ours = value not in graph.outputs and _reads_alone(product, value)
    return alone and ours and all(map(is_read_as_int8, product.outputs[0].outputs))


def _scales_around(leaky: gs.Node) -> set[bytes | None]:
    """Collect the scales of the DQ that a LeakyReLU reads and of each Q that reads it; None for any other node."""
    around = [producer(leaky.inputs[0]), *leaky.outputs[0].outputs]
    constants = [node.inputs[1] if node is not None and node.op in QUANTIZING else None for node in around]
    return {each.values.tobytes() if isinstance(each, gs.Constant) else None for each in constants}
