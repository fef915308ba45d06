"""The few facts about a graph that tell the head families apart, gathered once."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

import onnx
from attrs import frozen

from polyyolo.models.metadata import metadata_of, names_in
from polyyolo.models.probe import Array, probe, values_of
from polyyolo.models.reading import constants_of
from polyyolo.models.tensors import outputs_of
from polyyolo.models.trail import Trail, producers_of, trail_to

GRIDS = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32), (8, 16), (16,), (32,), (8,))
ANCHORS_A_CELL = (3, 1, 2, 4, 5, 6, 9)


@frozen
class Outline:
    """What one model looks like from outside, and what leads to its outputs.

    Attributes:
        size: (height, width) of the picture in pixels that ``shapes`` belong to.
        shapes: output name -> shape at that size, for one picture.
        integers: names of the outputs that are declared as integers.
        trails: output name -> what lies between the last convolutions and it.
        ops: how often each operator is in the graph.
        channels: output of a convolution -> how many channels it has, where its weights' shape tells.
        stem: kernel of the first convolution; empty where there is none.
        residual: whether feature maps are added to each other before the last convolutions, as in a bottleneck.
        metadata: as the exporter left it.
        names: class names, where the metadata has them.
        run: gives what comes out for one black picture of ``size``, by name; nothing where the model cannot be run.
    """

    size: tuple[int, int]
    shapes: Mapping[str, tuple[int, ...]]
    integers: frozenset[str]
    trails: Mapping[str, Trail]
    ops: Mapping[str, int]
    channels: Mapping[str, int]
    stem: tuple[int, ...]
    residual: bool
    metadata: Mapping[str, str]
    names: tuple[str, ...]
    run: Callable[[], Mapping[str, Array]]

    def each(self, strides: tuple[int, ...], anchors: int) -> str:
        """Say what there is a box for, of the grid that ``grid_of`` found at ``size``."""
        cells = f"cell of strides {', '.join(map(str, strides))} at {self.size[0]}x{self.size[1]}"
        return f"one for each {cells}" if anchors == 1 else f"one for each of {anchors} anchors a {cells}"


def outline_of(model: onnx.ModelProto) -> Outline:
    """Gather the facts; a model whose output shapes are not declared is run once.

    Raises:
        ModelError: the model has no picture input, or several.
    """
    found = probe(model)
    metadata = metadata_of(model)
    nodes = model.graph.node
    return Outline(
        size=found.size,
        shapes=found.shapes,
        integers=frozenset(tensor.name for tensor in outputs_of(model) if "int" in tensor.dtype),
        trails={name: trail_to(name, nodes) for name in found.shapes},
        ops=Counter(node.op_type for node in nodes),
        channels=_channels(model.graph),
        stem=next((_kernel(node) for node in nodes if node.op_type == "Conv"), ()),
        residual=_adds_features(model.graph),
        metadata=metadata,
        names=names_in(metadata),
        run=partial(values_of, model, found.size),
    )


def grid_of(cells: int, size: tuple[int, int]) -> tuple[tuple[int, ...], int] | None:
    """Find the strides and the anchors a cell whose grids have ``cells`` boxes in all; None where none do.

    25,200 boxes at 640x640 are strides 8, 16, 32 with 3 anchors a cell; 8,400 are the same with one. 34,000 are strides
    4 to 32 with one, not 8 to 64 with four: the usual number of anchors is looked for first.
    """
    height, width = size
    for anchors in ANCHORS_A_CELL:
        for strides in GRIDS:
            if sum((height // stride) * (width // stride) for stride in strides) * anchors == cells:
                return strides, anchors
    return None


def stride_of(rows: int, columns: int, size: tuple[int, int]) -> int | None:
    """Pixels a cell of a map with ``rows`` x ``columns`` cells; None where it does not divide the picture evenly."""
    height, width = size
    if rows < 1 or columns < 1 or height % rows or width % columns or height // rows != width // columns:
        return None
    stride = height // rows
    return stride if stride in (2, 4, 8, 16, 32, 64, 128) else None


def _channels(graph: onnx.GraphProto) -> dict[str, int]:
    """Count the channels of each Conv by its weights' first axis, which may be quantized or cast on their way."""
    shapes = {name: tensor.dims for name, tensor in constants_of(graph).items()}
    found: dict[str, int] = {}
    for node in graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear", "Cast"} and node.input[0] in shapes:
            shapes[node.output[0]] = shapes[node.input[0]]
        elif node.op_type == "Conv" and shapes.get(node.input[1]):
            found[node.output[0]] = shapes[node.input[1]][0]
    return found


def _kernel(node: onnx.NodeProto) -> tuple[int, ...]:
    return next((tuple(attribute.ints) for attribute in node.attribute if attribute.name == "kernel_shape"), ())


def _adds_features(graph: onnx.GraphProto) -> bool:
    producers = producers_of(graph.node)
    constants = {tensor.name for tensor in graph.initializer}
    ends = {
        output for value in graph.output for node in trail_to(value.name, graph.node).between for output in node.output
    }
    return any(
        node.op_type == "Add"
        and not ends.intersection(node.output)
        and all(name in producers and name not in constants for name in node.input)
        and not any(producers[name].op_type == "Constant" for name in node.input)
        for node in graph.node
    )
