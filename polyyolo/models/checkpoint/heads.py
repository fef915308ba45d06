"""What the last module, ``Detect``, becomes: decoded boxes, or the raw maps; and what is written down about it."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from polyyolo.models.checkpoint import head_v5, head_v8
from polyyolo.models.checkpoint.graph import Feature, Graph
from polyyolo.models.checkpoint.modules import Module
from polyyolo.records import HeadKind

OUTPUT = "output0"


@frozen
class Head:
    """What came out.

    Attributes:
        outputs: name -> dimensions, a number or the name of an axis.
        anchors: width and height in pixels, one list a map; empty for heads without anchors.
    """

    kind: HeadKind
    outputs: Mapping[str, tuple[int | str, ...]]
    classes: int
    strides: tuple[int, ...]
    anchors: Sequence[Sequence[Sequence[float]]] = ()


def detect(graph: Graph, module: Module, features: Sequence[Feature], *, raw: bool) -> Head:
    """Add the nodes of a YOLOv5 or v8 ``Detect``.

    Raises:
        ModelError: it is another head, or does not fit the maps that come in.
    """
    if module.type != "Detect":
        raise module.unusable("the model ends in this module, where a detector ends in Detect")
    if any(name.startswith("one2one") for name in module.names):
        raise module.unusable("it is an end-to-end head with two branches, as YOLOv10 and YOLO26 have it")
    stated, found = module.array("stride").ravel().tolist(), [feature.stride for feature in features]
    if stated != found or sorted(set(found)) != found or any(stride & (stride - 1) for stride in found):
        raise module.unusable(f"it says its strides are {stated[:8]}, but the maps that it gets have {found[:8]}")
    if module.has("anchors") and module.has("m"):
        return _v5(graph, module, features, raw=raw)
    return _v8(graph, module, features, raw=raw)


def _v5(graph: Graph, module: Module, features: Sequence[Feature], *, raw: bool) -> Head:
    levels = head_v5.levels(graph, module, features)
    anchors = [level.anchors.tolist() for level in levels]
    strides = tuple(level.map.stride for level in levels)
    classes = levels[0].classes
    if raw:
        outputs = _maps(graph, [level.map for level in levels])
        return Head(HeadKind.V5_RAW, outputs, classes, strides, anchors)
    graph.rename(head_v5.decoded(graph, module, levels), OUTPUT)
    boxes = len(anchors[0]) * _cells(graph, features)
    dims = (*_batch(graph), "anchors" if graph.canvas.dynamic else boxes, 5 + classes)
    return Head(HeadKind.V5, {OUTPUT: dims}, classes, strides, anchors)


def _v8(graph: Graph, module: Module, features: Sequence[Feature], *, raw: bool) -> Head:
    levels = head_v8.levels(graph, module, features)
    strides = tuple(feature.stride for feature in features)
    classes = levels[0].scores.channels
    if raw:
        maps = [graph.join(module, [level.boxes, level.scores]) for level in levels]
        return Head(HeadKind.V8_RAW, _maps(graph, maps), classes, strides)
    graph.rename(head_v8.decoded(graph, module, levels), OUTPUT)
    dims = (*_batch(graph), 4 + classes, "anchors" if graph.canvas.dynamic else _cells(graph, features))
    return Head(HeadKind.V8, {OUTPUT: dims}, classes, strides)


def _maps(graph: Graph, maps: Sequence[Feature]) -> dict[str, tuple[int | str, ...]]:
    """Name each map for its level of the pyramid: p3 has 2 to the power of 3 pixels a cell."""
    outputs: dict[str, tuple[int | str, ...]] = {}
    for feature in maps:
        name = f"p{feature.stride.bit_length() - 1}"
        graph.rename(feature.name, name)
        axes = (f"{name}_height", f"{name}_width") if graph.canvas.dynamic else graph.canvas.cells(feature.stride)
        outputs[name] = (*_batch(graph), feature.channels, *axes)
    return outputs


def _batch(graph: Graph) -> tuple[int | str]:
    return ("batch" if graph.canvas.dynamic else graph.canvas.batch,)


def _cells(graph: Graph, features: Sequence[Feature]) -> int:
    sizes = [graph.canvas.cells(feature.stride) for feature in features]
    return sum(height * width for height, width in sizes)
