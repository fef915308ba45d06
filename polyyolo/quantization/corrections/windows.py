"""What a convolution reads at one place of its output: a patch of its input, as a row of numbers."""

import numpy as np
import onnx_graphsurgeon as gs
from attrs import frozen
from numpy.typing import NDArray

from polyyolo.quantization.topology import data_of, weight_of

Array = NDArray[np.floating]


@frozen
class Window:
    """How convolutions read a tensor; those of one window see the same patches.

    Attributes:
        tensor: name of the input, (B, C, H, W).
        channels: C.
        kernel: (height, width).
        strides: (down, right).
        pads: (top, left, bottom, right), zeros.
        dilations: (down, right).
    """

    tensor: str
    channels: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]

    @property
    def width(self) -> int:
        """How many numbers a patch has: C times the kernel's height and width."""
        return self.channels * self.kernel[0] * self.kernel[1]

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Give the (height, width) of the output for an input of that size."""
        top, left, bottom, right = self.pads
        reach = [step * (size - 1) + 1 for size, step in zip(self.kernel, self.dilations, strict=True)]
        return (
            (height + top + bottom - reach[0]) // self.strides[0] + 1,
            (width + left + right - reach[1]) // self.strides[1] + 1,
        )

    def patches(self, values: Array, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cut out what is read at some places of the output.

        Args:
            values: (C, H, W), the tensor for one picture.
            places: flat indices into the output's (height, width).

        Returns:
            (N, C * kernel height * kernel width), in the order of a Conv's weights.
        """
        top, left, bottom, right = self.pads
        padded = np.pad(values, ((0, 0), (top, bottom), (left, right)))
        down, across = np.divmod(places, self.shape(*values.shape[1:])[1])
        rows, columns = (
            first[:, None] * stride + np.arange(size) * dilation
            for first, stride, size, dilation in zip(
                (down, across), self.strides, self.kernel, self.dilations, strict=True
            )
        )
        found = padded[:, rows[:, :, None], columns[:, None, :]]  # (C, N, kernel height, kernel width)
        return np.ascontiguousarray(found.transpose(1, 0, 2, 3), np.float32).reshape(len(places), -1)


def window_of(node: gs.Node) -> Window | None:
    """Tell how a weighted node reads its input; None for all but convolutions of pictures that are not grouped."""
    weight, attributes = weight_of(node), node.attrs
    if node.op != "Conv" or weight is None or len(weight.shape) != 4 or data_of(node) is not node.inputs[0]:
        return None
    padding = attributes.get("auto_pad", "NOTSET")
    if attributes.get("group", 1) != 1 or padding not in {"NOTSET", "VALID"}:
        return None
    _, channels, height, width = map(int, weight.shape)
    return Window(
        tensor=str(data_of(node).name),
        channels=channels,
        kernel=(height, width),
        strides=_pair(attributes.get("strides", (1, 1))),
        pads=(0, 0, 0, 0) if padding == "VALID" else _four(attributes.get("pads", (0, 0, 0, 0))),
        dilations=_pair(attributes.get("dilations", (1, 1))),
    )


def _pair(numbers: tuple[int, ...] | list[int]) -> tuple[int, int]:
    down, right = numbers
    return int(down), int(right)


def _four(numbers: tuple[int, ...] | list[int]) -> tuple[int, int, int, int]:
    top, left, bottom, right = numbers
    return int(top), int(left), int(bottom), int(right)
