"""A convolution of the picture whose kernel has an even number of rows and columns gets one of zeros more."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, constant_of, free_name, is_a, names_of, opened, values_of

LARGEST = 6
"""Rows and columns of an even kernel up to which TensorRT has one for a picture with one more: 3, 5 or 7."""
MADE = (16, 32, 48, 64)
"""Output channels that TensorRT's kernels for pictures have."""
READ = 4
"""Channels of a picture that they read at most."""
STRIDE = 2
"""How many pixels they step."""


def run(model: onnx.ModelProto) -> PassResult:
    """Give a convolution of the picture with an even kernel, as YOLOv5's 6 x 6, a first row and column of zeros.

    TensorRT has kernels for pictures in FP16 and INT8, of 3 x 3, 5 x 5 and 7 x 7 and a step of 2. Such a convolution
    has to be padded alike on all sides, so that the size of the picture has to be known, and even. No number changes.
    """
    graph = opened(model)
    names = names_of(graph)
    found = list(_even(graph))
    for conv in found:
        _widen(conv, names)
    if not found:
        return PassResult(model, changed=False, notes=("no convolution of the picture with an even kernel",))
    return PassResult(closed(graph, model), changed=True, notes=(f"kernels with a row and column more: {len(found)}",))


def _even(graph: gs.Graph) -> Iterator[gs.Node]:
    """Yield each convolution that reads an input of the graph with such a kernel, and makes as much with one more."""
    inputs = {id(tensor) for tensor in graph.inputs}
    for node in graph.nodes:
        if is_a(node, "Conv") and id(node.inputs[0]) in inputs and constant_of(node.inputs[1]) is not None:
            picture, kernel = node.inputs[0].shape, values_of(node.inputs[1]).shape
            if _has_one(node, kernel) and _fits(picture, _pad(node), kernel[2:]):
                yield node


def _has_one(conv: gs.Node, kernel: Sequence[int]) -> bool:
    """Whether TensorRT has a kernel for pictures that does what ``kernel`` (out, in, rows, columns) does."""
    made, read, *sides = kernel
    plain = conv.attrs.get("group", 1) == 1 and set(conv.attrs.get("dilations", [1])) == {1}
    steps = conv.attrs.get("strides", [1, 1]) == [STRIDE, STRIDE]
    even = len(sides) == 2 and len(set(sides)) == 1 and sides[0] % 2 == 0 and sides[0] <= LARGEST
    return plain and steps and even and made in MADE and read <= READ


def _pad(conv: gs.Node) -> int | None:
    """Tell how many zeros a convolution adds on each side; None where these are not alike, or not told."""
    if conv.attrs.get("auto_pad", "NOTSET") != "NOTSET":
        return None
    pads = set(conv.attrs.get("pads", [0]))
    return int(pads.pop()) if len(pads) == 1 else None


def _fits(picture: Sequence[int | str] | None, pad: int | None, sides: Sequence[int]) -> bool:
    """Whether as many places come out of a picture (N, C, H, W) with one more row, column and zero on each side."""
    if picture is None or pad is None:
        return False
    return all(
        isinstance(length, int) and (length + 2 * pad - side) % STRIDE == 0
        for length, side in zip(picture[2:], sides, strict=True)
    )


def _widen(conv: gs.Node, names: set[str]) -> None:
    weight = values_of(conv.inputs[1])
    conv.inputs[1] = gs.Constant(
        free_name(f"{conv.inputs[1].name}_odd", names), np.pad(weight, ((0, 0), (0, 0), (1, 0), (1, 0)))
    )
    sides = [side + 1 for side in weight.shape[2:]]
    conv.attrs.update(kernel_shape=sides, pads=[conv.attrs.get("pads", [0])[0] + 1] * 4)
