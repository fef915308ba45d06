"""Where INT8 begins before the LeakyReLU behind a convolution of the picture: TensorRT has a fast kernel for that.

On an H200 with TensorRT 8.6.0 this took 14 of 161 microseconds off the whole of YOLOv4-tiny.
"""

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from polyyolo.quantization.topology import identity, is_conv_on_picture, is_wide_on_picture, producer, weight_of

STEEPEST = 0.125
"""Slope of a LeakyReLU up to which INT8 may come before it: what is clipped there counts that much less; darknet's
is 0.1."""
FARTHEST = 2.0
"""How many times the range of what LeakyReLU makes the range of its input may be, where INT8 comes before it: what lies
beyond once that range is negative, and clipped."""
FEW = 4
"""Channels of a picture up to which there is such a kernel."""


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
