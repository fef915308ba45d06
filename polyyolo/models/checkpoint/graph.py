"""The ONNX graph while it grows, and the features that flow through it."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from attrs import define, field, frozen
from onnx import helper, numpy_helper

from polyyolo.models.checkpoint.modules import Module

MAX_MODULES = 20_000
"""Modules that one model may run; a tree that holds itself twice, thirty levels deep, would run a billion."""


Attribute = int | float | str | Sequence[int]


@frozen
class Feature:
    """A (B, channels, height / stride, width / stride) tensor of the graph."""

    name: str
    channels: int
    stride: int


@frozen
class Canvas:
    """What the graph is built for.

    Attributes:
        size: (height, width) of the image in pixels; the values of a dynamic graph are not used.
        dynamic: batch, height and width stay open.
    """

    opset: int
    size: tuple[int, int]
    batch: int
    dynamic: bool

    def cells(self, stride: int) -> tuple[int, int]:
        """Give (height, width) of a map with ``stride`` pixels a cell."""
        return self.size[0] // stride, self.size[1] // stride


@define(eq=False)
class Graph:
    """Nodes and initializers in the order they are added; mutable, as a graph is built piece by piece.

    Attributes:
        canvas: opset and shapes.
        layers: what turns a module of each type into nodes.
    """

    canvas: Canvas
    layers: Mapping[str, "Layer"] = field(repr=False)
    nodes: list[onnx.NodeProto] = field(factory=list, init=False)
    initializers: dict[str, onnx.TensorProto] = field(factory=dict, init=False)
    _names: dict[str, int] = field(factory=dict, init=False)
    _modules: int = field(default=0, init=False)

    def run(self, module: Module, *inputs: Feature) -> Feature:
        """Add the nodes of a module.

        Raises:
            ModelError: there is no rule for its type, or it does not fit its inputs.
        """
        self._modules += 1
        layer = self.layers.get(module.type)
        if layer is None:
            raise module.unusable("polyyolo does not know this module")
        if self._modules > MAX_MODULES:
            raise module.unusable(f"more than {MAX_MODULES} modules ran before it")
        return layer(self, module, inputs)

    def add(self, module: Module, op: str, inputs: Sequence[str], **attributes: Attribute) -> str:
        """Add a node of one output, named after ``module`` as torch's exporter does it.

        Returns:
            The name of its output.
        """
        return self.split(module, op, inputs, 1, **attributes)[0]

    def split(
        self, module: Module, op: str, inputs: Sequence[str], count: int, **attributes: Attribute
    ) -> tuple[str, ...]:
        """Add a node of ``count`` outputs; give their names."""
        name = self._unique(f"{scope(module.path)}/{op}")
        outputs = tuple(f"{name}_output_{index}" for index in range(count))
        node = helper.make_node(op, list(inputs), list(outputs), name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return outputs

    def constant(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Add an initializer; one of the same name and values is shared.

        Returns:
            Its name.
        """
        tensor = numpy_helper.from_array(np.ascontiguousarray(values, dtype).reshape(np.shape(values)), name)
        known = self.initializers.get(name)
        if known is not None and (known.raw_data, known.dims) == (tensor.raw_data, tensor.dims):
            return name
        tensor.name = self._unique(name)
        self.initializers[tensor.name] = tensor
        return tensor.name

    def integers(self, module: Module, *values: int) -> str:
        """Add a 1-D int64 initializer, named for its values."""
        return self.constant(f"{module.path}.int_{'_'.join(map(str, values))}", values, np.int64)

    def reshape(self, module: Module, tensor: str, *dims: int) -> str:
        """Add a Reshape; 0 keeps that axis, -1 takes what is left."""
        return self.add(module, "Reshape", [tensor, self.integers(module, *dims)])

    def concat(self, module: Module, tensors: Sequence[str], axis: int) -> str:
        """Add a Concat."""
        return self.add(module, "Concat", tensors, axis=axis)

    def cut(self, module: Module, tensor: str, sizes: Sequence[int], axis: int) -> tuple[str, ...]:
        """Add a Split into pieces of ``sizes`` along ``axis``; sizes are an attribute before opset 13."""
        if self.canvas.opset < 13:
            return self.split(module, "Split", [tensor], len(sizes), axis=axis, split=list(sizes))
        return self.split(module, "Split", [tensor, self.integers(module, *sizes)], len(sizes), axis=axis)

    def join(self, module: Module, features: Sequence[Feature]) -> Feature:
        """Concatenate features along their channels.

        Raises:
            ModelError: they differ in size.
        """
        if len({feature.stride for feature in features}) != 1:
            raise module.unusable(f"it joins maps of strides {sorted({feature.stride for feature in features})[:8]}")
        name = self.concat(module, [feature.name for feature in features], 1)
        return Feature(name, sum(feature.channels for feature in features), features[0].stride)

    def sum(self, module: Module, left: Feature, right: Feature) -> Feature:
        """Add two features.

        Raises:
            ModelError: they differ in shape.
        """
        if (left.channels, left.stride) != (right.channels, right.stride):
            raise module.unusable(f"it adds {right.channels} channels to {left.channels}")
        return Feature(self.add(module, "Add", [left.name, right.name]), left.channels, left.stride)

    def halve(self, module: Module, feature: Feature, first: int) -> tuple[Feature, Feature]:
        """Split a feature's channels into the ``first`` ones and the rest.

        Raises:
            ModelError: there are not so many.
        """
        rest = feature.channels - first
        if first < 1 or rest < 1:
            raise module.unusable(f"it takes {first} of {feature.channels} channels")
        low, high = self.cut(module, feature.name, (first, rest), 1)
        return Feature(low, first, feature.stride), Feature(high, rest, feature.stride)

    def rename(self, tensor: str, name: str) -> None:
        """Give the output of the last node that makes ``tensor`` another name."""
        for node in self.nodes:
            node.input[:] = [name if value == tensor else value for value in node.input]
            node.output[:] = [name if value == tensor else value for value in node.output]

    def _unique(self, name: str) -> str:
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return f"{name}_{count}" if count else name


Layer = Callable[[Graph, Module, Sequence[Feature]], Feature]


def scope(path: str) -> str:
    """Turn "model.2.m.0.cv1" into "/model.2/m.0/cv1": indices stay with the list that holds them."""
    parts: list[str] = []
    for part in path.split("."):
        if part.isdigit() and parts:
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return "/" + "/".join(parts)
