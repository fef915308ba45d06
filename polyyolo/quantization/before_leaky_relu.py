"""Where INT8 begins before the LeakyReLU behind a convolution, and not behind it alone: TensorRT 8 is faster then.

Seen on an H200 with TensorRT 8.6.0: where Q follows LeakyReLU, both are fused into kernels made for Ampere only; where
Q stands before LeakyReLU, too, as in implicit INT8, into kernels made for Hopper. LeakyReLU is fused into no INT8
convolution of the picture, and that has a kernel of 4 channels, in the place of 32, only where it writes INT8.
"""

import math
from collections.abc import Iterator

import onnx_graphsurgeon as gs

from polyyolo.quantization.topology import (
    QUANTIZING,
    identity,
    is_conv_on_picture,
    is_wide_on_picture,
    origin,
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
"""Channels of a picture up to which a convolution that writes INT8 has a kernel of its own."""
MANY = 1152
"""Products that a convolution sums up for a value, from which on it is faster: 128 channels of a 3 x 3 kernel. One of
64 channels took 66 us with Q behind LeakyReLU and 61 in implicit INT8, smaller ones the same in both."""


def early_relus(graph: gs.Graph) -> Iterator[tuple[str, str]]:
    """Find the LeakyReLUs before which INT8 can begin, with the scale of what comes behind them.

    With that scale a positive value comes to the same number as without; a negative one is rounded twice, before
    LeakyReLU in steps that it makes small, and clipped where it is below -128 of them.

    Yields:
        names of the tensors before and behind: what a convolution makes for this LeakyReLU alone, and what that makes
        of it.
    """
    for leaky in graph.nodes:
        if leaky.op == "LeakyRelu" and abs(leaky.attrs.get("alpha", 0.01)) <= STEEPEST:
            before = leaky.inputs[0]
            alone = len(before.outputs) == 1 and before not in graph.outputs
            if alone and _gains(producer(before)):
                yield before.name, identity(leaky)


def begin_behind(graph: gs.Graph) -> None:
    """Let INT8 begin behind a LeakyReLU alone where it begins before it with the same scale: for TensorRT from 10 on.

    There NVIDIA advises against Q between a convolution and its activation function, and it was not measured.
    """
    for leaky in graph.nodes:
        if leaky.op == "LeakyRelu" and leaky.outputs[0] not in graph.outputs:
            before = origin(leaky.inputs[0], QUANTIZING)
            scales = _scales_around(leaky)
            if len(scales) == 1 and None not in scales and _gains(producer(before)):
                leaky.inputs[0] = before


def fits_behind(before: float, behind: float) -> bool:
    """Whether the range before a LeakyReLU can do with the scale of the range behind it: little is clipped."""
    return before <= FARTHEST * behind


def _gains(node: gs.Node | None) -> bool:
    """Whether a node is a convolution that is faster where it writes INT8 for LeakyReLU."""
    weight = weight_of(node) if node is not None and node.op == "Conv" else None
    if node is None or weight is None or node.attrs.get("group", 1) != 1:
        return False
    if is_conv_on_picture(node):
        return weight.shape[1] <= FEW and not is_wide_on_picture(node)
    summed: int = math.prod(weight.shape[1:])
    return summed >= MANY


def _scales_around(leaky: gs.Node) -> set[bytes | None]:
    """Collect the scales of the DQ that a LeakyReLU reads and of each Q that reads it; None for any other node."""
    around = [producer(leaky.inputs[0]), *leaky.outputs[0].outputs]
    constants = [node.inputs[1] if node is not None and node.op in QUANTIZING else None for node in around]
    return {each.values.tobytes() if isinstance(each, gs.Constant) else None for each in constants}
