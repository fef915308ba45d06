"""The sliding window of a convolution or a pooling."""

from attrs import frozen

from polyyolo.models.checkpoint.modules import Module


@frozen
class Window:
    """Kernel, stride, padding and dilation, (height, width) each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def scaled(self, factor: int) -> "Window":
        """Give the window with ``factor`` times the stride and padding, for a kernel that was widened by it."""
        (down, right), (top, left) = self.stride, self.padding
        return Window(self.kernel, (factor * down, factor * right), (factor * top, factor * left), self.dilation)

    def attributes(self) -> dict[str, list[int]]:
        """Give the attributes of an ONNX Conv or MaxPool."""
        return {
            "kernel_shape": list(self.kernel),
            "strides": list(self.stride),
            "pads": list(self.padding) * 2,
            "dilations": list(self.dilation),
        }

    def shrinks(self) -> bool:
        """Tell whether it makes every map smaller by exactly its stride, the same on both axes.

        A map of n cells, n a multiple of the stride s, becomes floor((n + 2p - d(k - 1) - 1) / s) + 1 cells; that is
        n / s when 0 <= s - 1 + 2p - d(k - 1) < s.
        """
        axes = zip(self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return self.stride[0] == self.stride[1] and all(
            step > 0 and dilation > 0 and 0 <= step - 1 + 2 * pad - dilation * (size - 1) < step
            for size, step, pad, dilation in axes
        )


def window(module: Module, kernel: tuple[int, int], factor: int = 1) -> Window:
    """Read a module's window, for a kernel ``factor`` times as wide as its own.

    Raises:
        ModelError: it is none, or maps would not shrink by exactly its stride.
    """
    read = Window(kernel, module.pair("stride"), module.pair("padding"), module.pair("dilation")).scaled(factor)
    if not read.shrinks():
        raise module.unusable(
            f"a window {read.kernel} with stride {read.stride} and padding {read.padding} does not fit"
        )
    return read
