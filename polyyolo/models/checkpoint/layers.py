"""Single layers: convolution with its batch norm folded in, pooling, upsampling, joining."""

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from polyyolo.models.checkpoint.folding import Kernel, folded, norm_of
from polyyolo.models.checkpoint.graph import Feature, Graph
from polyyolo.models.checkpoint.modules import Module
from polyyolo.models.checkpoint.windows import window

MAX_STRIDE = 1024
"""Pixels a cell; YOLOv5's largest models have 64."""


def conv_block(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """Convolution, batch norm, activation: ``Conv`` and ``DWConv``."""
    feature = convolved(graph, module.child("conv"), only(module, inputs), _kernel_of(module))
    return graph.run(module.child("act"), feature)


def plain_conv(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """A bare ``nn.Conv2d``."""
    return convolved(graph, module, only(module, inputs), folded(module))


def focus(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``Focus`` as one convolution of twice the kernel, padding and stride.

    Focus stacks the four pixels of every 2x2 square as channels, in the order (y, x) = (0, 0), (1, 0), (0, 1), (1, 1),
    and convolves; taking the kernel apart the same way gives the same sums without the four strided slices, as
    YOLOv5 v6.0 did when it replaced Focus.
    """
    block = module.child("conv")
    kernel = _widened(block, _kernel_of(block))
    return graph.run(block.child("act"), convolved(graph, block.child("conv"), only(module, inputs), kernel))


def _kernel_of(block: Module) -> Kernel:
    return folded(block.child("conv"), norm_of(block.child("bn")) if block.has("bn") else None)


def _widened(block: Module, kernel: Kernel) -> Kernel:
    weight = kernel.weight
    out, channels, height, width = weight.shape
    if channels % 4 or block.child("conv").integer("groups") != 1 or block.child("conv").pair("dilation") != (1, 1):
        raise block.unusable(f"its convolution over {channels} channels is none that Focus makes")
    wide = np.zeros((out, channels // 4, 2 * height, 2 * width), np.float32)
    for index, (y, x) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        wide[:, :, y::2, x::2] = weight[:, index * channels // 4 : (index + 1) * channels // 4]
    return evolve(kernel, weight=wide, factor=2)


def convolved(graph: Graph, conv: Module, feature: Feature, kernel: Kernel) -> Feature:
    """Add a Conv with the weights ``kernel`` and the window of ``conv``.

    Raises:
        ModelError: the channels do not fit, or the map would not shrink by exactly the stride.
    """
    weight, groups = kernel.weight, conv.integer("groups")
    height, width = weight.shape[2:]
    frame = window(conv, (height, width), kernel.factor)
    if groups < 1 or weight.shape[1] * groups != feature.channels or len(weight) % groups:
        raise conv.unusable(f"it takes {weight.shape[1] * groups} channels where {feature.channels} come")
    stride = feature.stride * frame.stride[0]
    if stride > MAX_STRIDE:
        raise conv.unusable(f"the map has {stride} pixels a cell")
    names = [graph.constant(f"{conv.path}.weight", weight), graph.constant(f"{conv.path}.bias", kernel.bias)]
    name = graph.add(conv, "Conv", [feature.name, *names], group=groups, **frame.attributes())
    return Feature(name, len(weight), stride)


def max_pool(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``nn.MaxPool2d``."""
    if module.flag("ceil_mode") or module.flag("return_indices"):
        raise module.unusable("ceil_mode and return_indices are not supported")
    feature, frame = only(module, inputs), window(module, module.pair("kernel_size"))
    attributes = frame.attributes()
    if frame.dilation == (1, 1):
        del attributes["dilations"]
    name = graph.add(module, "MaxPool", [feature.name], **attributes)
    return Feature(name, feature.channels, feature.stride * frame.stride[0])


def upsample(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``nn.Upsample`` to a whole multiple of the size, by nearest neighbour."""
    feature = only(module, inputs)
    factor = _factor(module.state.get("scale_factor"))
    if not factor or module.state.get("mode") != "nearest" or feature.stride % factor:
        raise module.unusable("only scaling to the 2, 4 or 8-fold by nearest neighbour is supported")
    scales = graph.constant(f"{module.path}.scales", [1, 1, factor, factor])
    # The region is only read by tf_crop_and_resize; opset 11 wants an input all the same.
    region = graph.constant("empty", []) if graph.canvas.opset < 13 else ""
    name = graph.add(
        module,
        "Resize",
        [feature.name, region, scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return Feature(name, feature.channels, feature.stride // factor)


def _factor(stated: object) -> int:
    """Read scale_factor, a number or one for each axis; 0 for what is not supported."""
    match stated if isinstance(stated, tuple) else (stated, stated):
        case (2 | 4 | 8 as height, 2 | 4 | 8 as width) if height == width:
            return int(height)
    return 0


def joined(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``Concat`` along the channels."""
    if module.integer("d", 1) != 1:
        raise module.unusable(f"it joins along axis {module.integer('d')}, not along the channels")
    return graph.join(module, inputs)


def identity(_graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``nn.Identity`` and ``nn.Dropout``: nothing at inference."""
    return only(module, inputs)


def sequence(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``nn.Sequential``: one after the other."""
    feature = only(module, inputs)
    for child in module.children():
        feature = graph.run(child, feature)
    return feature


def only(module: Module, inputs: Sequence[Feature]) -> Feature:
    """Give the single input.

    Raises:
        ModelError: there are several, or none.
    """
    if len(inputs) != 1:
        raise module.unusable(f"{len(inputs)} inputs come where it takes one")
    return inputs[0]
