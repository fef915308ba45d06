"""Activation functions."""

from collections.abc import Callable, Sequence

from polyyolo.models.checkpoint.graph import Feature, Graph, Layer
from polyyolo.models.checkpoint.layers import only
from polyyolo.models.checkpoint.modules import Module


def silu(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """Compute x * sigmoid(x), as the Sigmoid and Mul that builders fuse with the convolution before them."""
    return _times(graph, module, only(module, inputs), lambda x: graph.add(module, "Sigmoid", [x]))


def hard_swish(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """Compute x * clip(x / 6 + 1/2, 0, 1); ONNX has HardSwish itself only from opset 14."""
    return _times(
        graph, module, only(module, inputs), lambda x: graph.add(module, "HardSigmoid", [x], alpha=1 / 6, beta=0.5)
    )


def mish(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """Compute x * tanh(ln(1 + e^x))."""
    return _times(
        graph,
        module,
        only(module, inputs),
        lambda x: graph.add(module, "Tanh", [graph.add(module, "Softplus", [x])]),
    )


def leaky_relu(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """Keep x where positive, else x times the module's slope."""
    feature = only(module, inputs)
    name = graph.add(module, "LeakyRelu", [feature.name], alpha=module.number("negative_slope"))
    return Feature(name, feature.channels, feature.stride)


def single(op: str) -> Layer:
    """Make the layer of an activation that is one ONNX operator without attributes."""

    def layer(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
        feature = only(module, inputs)
        return Feature(graph.add(module, op, [feature.name]), feature.channels, feature.stride)

    return layer


def _times(graph: Graph, module: Module, feature: Feature, gate: Callable[[str], str]) -> Feature:
    name = graph.add(module, "Mul", [feature.name, gate(feature.name)])
    return Feature(name, feature.channels, feature.stride)
