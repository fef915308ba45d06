"""Which function turns which module into nodes, by the name of its class."""

from collections.abc import Mapping

from polyyolo.models.checkpoint import activations, blocks, layers
from polyyolo.models.checkpoint.graph import Layer

LAYERS: Mapping[str, Layer] = {
    "Attention": blocks.attention,
    "Bottleneck": blocks.bottleneck,
    "BottleneckCSP": blocks.bottleneck_csp,
    "C2PSA": blocks.c2psa,
    "C2f": blocks.c2f,
    "C3": blocks.c3,
    "C3k": blocks.c3,
    "C3k2": blocks.c2f,
    "Concat": layers.joined,
    "Conv": layers.conv_block,
    "Conv2d": layers.plain_conv,
    "DWConv": layers.conv_block,
    "Dropout": layers.identity,
    "Focus": layers.focus,
    "Hardswish": activations.hard_swish,
    "Identity": layers.identity,
    "LeakyReLU": activations.leaky_relu,
    "MaxPool2d": layers.max_pool,
    "Mish": activations.mish,
    "PSABlock": blocks.psa_block,
    "ReLU": activations.single("Relu"),
    "SPP": blocks.spp,
    "SPPF": blocks.sppf,
    "Sequential": layers.sequence,
    "SiLU": activations.silu,
    "Sigmoid": activations.single("Sigmoid"),
    "Upsample": layers.upsample,
}
