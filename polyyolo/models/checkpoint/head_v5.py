"""YOLOv5's head: one convolution a map, three anchors a cell, one rule for boxes since v3.0."""

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen

from polyyolo.models.checkpoint.graph import Feature, Graph
from polyyolo.models.checkpoint.grid import Layout, grid
from polyyolo.models.checkpoint.modules import Module
from polyyolo.models.checkpoint.tensors import Array

_CELLS = Layout(flat=(1, 1, -1, 1), axis=3, offset=-0.5)


@frozen(eq=False)
class Level:
    """One raw map.

    Attributes:
        map: (B, A * (5 + classes), H, W), before sigmoid.
        anchors: (A, 2), width and height in pixels.
    """

    map: Feature
    anchors: Array = field(repr=False)
    classes: int


def levels(graph: Graph, module: Module, features: Sequence[Feature]) -> list[Level]:
    """Add the convolution of every map.

    Raises:
        ModelError: their channels, anchors and classes do not belong together.
    """
    anchors, convs, classes = module.array("anchors"), module.child("m").children(), module.integer("nc")
    if anchors.ndim != 3 or anchors.shape[2] != 2 or not len(anchors) == len(convs) == len(features):
        raise module.unusable(f"{len(convs)} maps and anchors of shape {anchors.shape} do not belong together")
    # The checkpoint counts anchors in cells, so that they scale with the stride.
    strides = np.array([feature.stride for feature in features], np.float32)
    pixels = anchors * strides[:, None, None]
    found = [
        Level(graph.run(conv, feature), size, classes)
        for conv, feature, size in zip(convs, features, pixels, strict=True)
    ]
    if classes < 1 or any(level.map.channels != anchors.shape[1] * (5 + classes) for level in found):
        raise module.unusable(
            f"{classes} classes do not make maps of {[level.map.channels for level in found]} channels"
        )
    return found


def decoded(graph: Graph, module: Module, found: Sequence[Level]) -> str:
    """Add YOLOv5's decode: rows of centre, size, objectness and class scores, map by map, anchor by anchor.

    Returns:
        The name of a (B, N, 5 + classes) tensor.
    """
    return graph.concat(module, [_rows(graph, module, level) for level in found], 1)


def _rows(graph: Graph, module: Module, level: Level) -> str:
    """Decode one map: centre = (2 s - 0.5 + cell) * stride, size = (2 s)^2 * anchor, all of s = sigmoid(map)."""
    count, stride, width = len(level.anchors), level.map.stride, 5 + level.classes
    two = graph.constant(f"{module.path}.two", 2)
    flat = graph.reshape(module, level.map.name, 0, count, width, -1)
    scores = graph.add(module, "Sigmoid", [graph.add(module, "Transpose", [flat], perm=[0, 1, 3, 2])])
    centre, size, rest = graph.cut(module, scores, (2, 2, width - 4), 3)
    cells = graph.add(
        module, "Add", [graph.add(module, "Mul", [centre, two]), grid(graph, module, [level.map], _CELLS)]
    )
    centre = graph.add(module, "Mul", [cells, graph.constant(f"{module.path}.stride.{stride}", stride)])
    # A Pow, as the official exporter writes it: what cuts a decode off finds the anchors behind it.
    square = graph.add(module, "Pow", [graph.add(module, "Mul", [size, two]), two])
    anchors = graph.constant(f"{module.path}.anchors.{stride}", level.anchors[None, :, None])
    size = graph.add(module, "Mul", [square, anchors])
    return graph.reshape(module, graph.concat(module, [centre, size, rest], 3), 0, -1, width)
