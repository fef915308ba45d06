"""Ultralytics' anchor-free head since v8: boxes as distances from a cell's centre, each a distribution over bins."""

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from polyyolo.models.checkpoint.graph import Feature, Graph
from polyyolo.models.checkpoint.grid import Layout, grid, strides
from polyyolo.models.checkpoint.modules import Module

_CELLS = Layout(flat=(1, 1, -1), axis=1, offset=0.5)


@frozen
class Level:
    """The two raw maps of one level, before softmax and sigmoid."""

    boxes: Feature
    scores: Feature


def levels(graph: Graph, module: Module, features: Sequence[Feature]) -> list[Level]:
    """Add the box and the class branch of every level.

    Raises:
        ModelError: their channels do not fit the number of bins and classes.
    """
    boxes, scores = module.child("cv2").children(), module.child("cv3").children()
    if not len(boxes) == len(scores) == len(features) > 0:
        raise module.unusable(f"{len(boxes)} box and {len(scores)} class branches for {len(features)} maps")
    found = [
        Level(graph.run(box, feature), graph.run(score, feature))
        for box, score, feature in zip(boxes, scores, features, strict=True)
    ]
    bins, classes = module.integer("reg_max"), module.integer("nc")
    if bins < 2 or classes < 1 or {(f.boxes.channels, f.scores.channels) for f in found} != {(4 * bins, classes)}:
        raise module.unusable(f"{bins} bins and {classes} classes do not fit the channels of its branches")
    return found


def decoded(graph: Graph, module: Module, found: Sequence[Level]) -> str:
    """Add the decode: columns of centre, size and class scores, map by map.

    Returns:
        The name of a (B, 4 + classes, N) tensor.
    """
    bins, classes = found[0].boxes.channels // 4, found[0].scores.channels
    boxes = [graph.reshape(module, level.boxes.name, 0, 4 * bins, -1) for level in found]
    scores = [graph.reshape(module, level.scores.name, 0, classes, -1) for level in found]
    distances = _expected(graph, module.child("dfl"), graph.concat(module, boxes, 2), bins)
    sure = graph.add(module, "Sigmoid", [graph.concat(module, scores, 2)])
    return graph.concat(module, [_boxes(graph, module, distances, [level.boxes for level in found]), sure], 1)


def _expected(graph: Graph, module: Module, boxes: str, bins: int) -> str:
    """Turn each distribution over bins 0, 1, 2, ... into its expected value: (B, 4 * bins, N) to (B, 4, N)."""
    flat = graph.reshape(module, boxes, 0, 4, bins, -1)
    chances = graph.add(module, "Softmax", [graph.add(module, "Transpose", [flat], perm=[0, 1, 3, 2])], axis=3)
    values = graph.constant(f"{module.path}.bins", np.arange(bins)[:, None])
    return graph.reshape(module, graph.add(module, "MatMul", [chances, values]), 0, 4, -1)


def _boxes(graph: Graph, module: Module, distances: str, maps: Sequence[Feature]) -> str:
    """Turn distances to the left, top, right and bottom, in cells, into centre and size in pixels."""
    points = grid(graph, module, maps, _CELLS)
    before, after = graph.cut(module, distances, (2, 2), 1)
    low, high = graph.add(module, "Sub", [points, before]), graph.add(module, "Add", [points, after])
    half = graph.constant(f"{module.path}.half", 0.5)
    centre = graph.add(module, "Mul", [graph.add(module, "Add", [low, high]), half])
    boxes = graph.concat(module, [centre, graph.add(module, "Sub", [high, low])], 1)
    return graph.add(module, "Mul", [boxes, strides(graph, module, maps)])
