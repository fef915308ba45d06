"""Batch norms multiplied into the convolutions before them."""

import numpy as np
from attrs import frozen

from polyyolo.models.checkpoint.modules import Module
from polyyolo.models.checkpoint.tensors import Array


@frozen(eq=False)
class Kernel:
    """The weights of a convolution, ready for ONNX.

    Attributes:
        weight: (O, I, H, W).
        bias: (O,).
        factor: how many times wider than in the checkpoint the kernel, and so its stride and padding, are.
    """

    weight: Array
    bias: Array
    factor: int = 1


@frozen(eq=False)
class Norm:
    """A batch norm at inference, each (C,): (x - mean) * inverse * gain + offset."""

    mean: Array
    inverse: Array
    gain: Array
    offset: Array

    def part(self, channels: slice) -> "Norm":
        """Give the batch norm of some of the channels."""
        return Norm(self.mean[channels], self.inverse[channels], self.gain[channels], self.offset[channels])

    def fold(self, weight: Array, bias: Array) -> tuple[Array, Array]:
        """Multiply into weight and bias in FP32 and in torch's order, so that the official exporter's come out."""
        scale = self.gain * self.inverse
        return weight * scale[:, None, None, None], (bias - self.mean) * self.inverse * self.gain + self.offset


def norm_of(module: Module) -> Norm:
    """Read a batch norm, with its own eps (1e-3 in YOLO, 1e-5 in torch).

    Raises:
        ModelError: it is none, or its vectors differ in length.
    """
    if module.type != "BatchNorm2d":
        raise module.unusable("only BatchNorm2d can be folded into a convolution")
    vectors = [module.array(name) for name in ("running_mean", "running_var", "weight", "bias")]
    if len({vector.shape for vector in vectors}) != 1 or vectors[0].ndim != 1:
        raise module.unusable("its mean, variance, weight and bias differ in length")
    mean, variance, gain, offset = vectors
    with np.errstate(all="ignore"):  # what is not finite is refused when it is folded
        inverse = np.float32(1) / np.sqrt(variance + np.float32(module.number("eps")))
    return Norm(mean, inverse, gain, offset)


def folded(conv: Module, norm: Norm | None = None) -> Kernel:
    """Give a convolution's weights, with the batch norm after it folded in.

    Raises:
        ModelError: the shapes do not belong together, or the module is no plain convolution.
    """
    if conv.type != "Conv2d" or conv.state.get("padding_mode", "zeros") != "zeros":
        raise conv.unusable("it is no convolution that pads with zeros")
    weight = conv.array("weight")
    if weight.ndim != 4 or not weight.size:
        raise conv.unusable(f"a convolution's weight should have 4 axes, not the shape {weight.shape}")
    bias = conv.array("bias") if conv.has("bias") else np.zeros(len(weight), np.float32)
    if any(vector.shape != (len(weight),) for vector in (bias, norm.mean if norm else bias)):
        raise conv.unusable(f"its {len(weight)} filters, its biases and its batch norm do not belong together")
    with np.errstate(all="ignore"):  # what overflows is refused below
        weight, bias = norm.fold(weight, bias) if norm else (weight, bias)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise conv.unusable("its weights are not finite numbers")
    return Kernel(weight, bias)
