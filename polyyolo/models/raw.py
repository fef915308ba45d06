"""Heads that are the last convolutions' maps: YOLOv5's and darknet's, not yet decoded."""

from typing import TypeVar

from attrs import frozen

from polyyolo.models import anchors as published
from polyyolo.models.corners import boxes_and_scores
from polyyolo.models.decoded import transposed_v8, turned_axes
from polyyolo.models.metadata import Anchors, anchors_in, head_in, scale_xy_in, strides_in
from polyyolo.models.outline import Outline, stride_of
from polyyolo.records import Head, HeadKind

Level = TypeVar("Level")
MOST_ANCHORS = 9
TOLD = "anchors from the metadata"
MOVES = frozenset({"Reshape", "Transpose", "Identity", "Cast", "QuantizeLinear", "DequantizeLinear"})


@frozen
class Maps:
    """Output maps of one model, all with the same number of channels.

    Attributes:
        outputs: names, in the model's order.
        strides: pixels a cell, one a map.
        channels: of one map, anchors times features.
        anchors: a cell, where the shape itself tells (5-D maps); else 0.
    """

    outputs: tuple[str, ...]
    strides: tuple[int, ...]
    channels: int
    anchors: int


def raw_head(outline: Outline, *, asked: HeadKind | None = None) -> Head | None:
    """Find maps of A * (5 + C) channels (or A and 5 + C on axes of their own), straight from the last convolutions."""
    maps = maps_of(outline)
    if maps is None or not _untouched(outline, maps) or (asked is None and _single_without_anchors(outline, maps)):
        return None
    a_cell = maps.anchors or _anchors_a_cell(outline, maps.channels)
    classes = maps.channels // a_cell - 5 if a_cell else 0
    if classes < 1 or maps.channels % a_cell:
        return None
    kind, reason = _rule(outline, maps) if asked is None else (asked, _asked_by(outline, asked))
    anchors, scale_xy, origin = _anchors(outline, maps, kind, a_cell)
    if not anchors:
        return None
    return Head(
        kind=kind,
        classes=classes,
        outputs=maps.outputs,
        strides=maps.strides,
        anchors=anchors,
        scale_xy=scale_xy,
        why=(
            f"{len(maps.outputs)} maps of {a_cell} x (5 + {classes}) channels at strides "
            f"{', '.join(map(str, maps.strides))}; {reason}; {origin}"
        ),
        doubt="" if origin == TOLD else f"{origin}: boxes are wrong where it has others",
    )


def not_decodable(outline: Outline) -> str:
    """Say what kept outputs that look like YOLO's from being decoded; empty where they look like nothing known."""
    maps = maps_of(outline)
    swapped = transposed_v8(outline)
    if swapped:
        return turned_axes(swapped, "YOLOv8", "boxes before features")
    if maps is None:
        return _apart(outline)
    if not _untouched(outline, maps):
        return (
            f"{len(maps.outputs)} maps of {maps.channels} channels that more than one convolution, or more than that, "
            "leads to, but not as YOLOv8's raw maps are; these can be compared but not decoded"
        )
    return (
        f"{len(maps.outputs)} maps of {maps.channels} channels at strides {', '.join(map(str, maps.strides))}, but "
        "their anchors are not known; write them into the metadata under 'anchors' to have them decoded"
    )


def _apart(outline: Outline) -> str:
    boxes, scores = next(boxes_and_scores(outline), ("", ""))
    if not boxes:
        return ""
    return (
        f"the boxes are in {boxes} and their scores in {scores}, but not as corners (B, N, 4) and chances (B, N, C), "
        "one for each cell and anchor; export them so, or one output (B, 4 + C, N), centre and size in pixels before "
        "the scores, to have them decoded"
    )


def maps_of(outline: Outline) -> Maps | None:
    """Collect the outputs that are maps over the picture; None unless all of them have the same channels."""
    found = [each for name, shape in outline.shapes.items() if (each := _map(name, shape, outline.size))]
    channels = {(stride_map.channels, stride_map.anchors) for stride_map in found}
    strides, listed = tuple(each.strides[0] for each in found), strides_in(outline.metadata)
    if len(channels) != 1 or (len(set(strides)) != len(found) and strides != listed):
        return None
    return Maps(
        outputs=tuple(each.outputs[0] for each in found),
        strides=strides,
        channels=found[0].channels,
        anchors=found[0].anchors,
    )


def _map(name: str, shape: tuple[int, ...], size: tuple[int, int]) -> Maps | None:
    if len(shape) not in (4, 5):
        return None
    rows, columns = shape[2:4]
    stride = stride_of(rows, columns, size)
    if stride is None:
        return None
    anchors = shape[1] if len(shape) == 5 else 0
    channels = shape[1] * shape[4] if len(shape) == 5 else shape[1]
    return Maps(outputs=(name,), strides=(stride,), channels=channels, anchors=anchors)


def _untouched(outline: Outline, maps: Maps) -> bool:
    """Whether each map is one convolution's output, at most moved about."""
    trails = [outline.trails[name] for name in maps.outputs]
    return all(len(trail.convs) == 1 and trail.ops <= MOVES | {"Constant"} for trail in trails)


def _single_without_anchors(outline: Outline, maps: Maps) -> bool:
    return len(maps.outputs) < 2 and not anchors_in(outline.metadata)


def _anchors_a_cell(outline: Outline, channels: int) -> int:
    levels = anchors_in(outline.metadata)
    if levels:
        return len(levels[0])
    features = 5 + len(outline.names)
    named = channels // features if outline.names and channels % features == 0 else 3
    return named if named <= MOST_ANCHORS else 3


def _rule(outline: Outline, maps: Maps) -> tuple[HeadKind, str]:
    """Tell darknet's box rule from YOLOv5's by the backbone.

    darknet's networks start with a 3x3 convolution and are activated by LeakyRelu or Mish. So is YOLOv7-tiny, which has
    YOLOv5's box rule: three maps and no residual connection set it apart. Conv + Sigmoid + Mul is SiLU.
    """
    leaky = _is_leaky(outline)
    yolov7_tiny = len(maps.outputs) == 3 and not outline.residual
    if leaky and outline.stem == (3, 3) and not yolov7_tiny:
        activation = "LeakyRelu" if outline.ops.get("LeakyRelu") else "Mish"
        return HeadKind.DARKNET_RAW, f"{activation} and a 3x3 stem are darknet's"
    return HeadKind.V5_RAW, "the network is not darknet's, so the box rule is YOLOv5's"


def _is_leaky(outline: Outline) -> bool:
    return any(outline.ops.get(kind) for kind in ("LeakyRelu", "Mish", "Softplus"))


def _asked_by(outline: Outline, asked: HeadKind) -> str:
    return "the metadata says which" if head_in(outline.metadata) is asked else "asked for"


def _anchors(outline: Outline, maps: Maps, kind: HeadKind, a_cell: int) -> tuple[Anchors, tuple[float, ...], str]:
    """Anchors and scale_xy from the metadata, else the family's published ones; empty where neither fits."""
    listed = strides_in(outline.metadata)
    told = _in_order(anchors_in(outline.metadata), listed, maps.strides)
    darknet = kind is HeadKind.DARKNET_RAW
    if len(told) == len(maps.outputs) and all(len(level) == a_cell for level in told):
        scales = _in_order(scale_xy_in(outline.metadata), listed, maps.strides) if darknet else ()
        if darknet and len(scales) != len(maps.outputs):
            scales = (1.0,) * len(maps.outputs)
        return told, scales, TOLD
    family = _family(outline, maps, darknet=darknet)
    if family is None or a_cell != 3:
        return (), (), ""
    levels = tuple(family.anchors[stride] for stride in maps.strides)
    scales = tuple(family.scale_xy.get(stride, 1.0) for stride in maps.strides) if darknet else ()
    return levels, scales, f"no anchors in the file, so {family.name}'s published ones are assumed"


def _in_order(levels: tuple[Level, ...], told: tuple[int, ...], strides: tuple[int, ...]) -> tuple[Level, ...]:
    """Take from levels that the metadata lists by ``told`` strides those of the maps, in their order."""
    if len(levels) != len(told) or told == strides or not set(strides) <= set(told):
        return levels
    return tuple(levels[told.index(stride)] for stride in strides)


def _family(outline: Outline, maps: Maps, *, darknet: bool) -> published.Family | None:
    """Tell which published network this is, by its strides and the operators that set it apart."""
    strides = tuple(sorted(maps.strides))
    if strides == (16, 32):
        grouped = outline.ops.get("Slice") or outline.ops.get("Split")
        return published.YOLOV4_TINY if grouped else published.YOLOV3_TINY
    if (
        not darknet
        and strides == (8, 16, 32)
        and outline.stem == (3, 3)
        and not (outline.residual or _is_leaky(outline))
    ):
        return published.YOLOV7
    if not darknet:
        return {(8, 16, 32): published.YOLOV5, (8, 16, 32, 64): published.YOLOV5_P6}.get(strides)
    if strides != (8, 16, 32):
        return None
    mish = outline.ops.get("Mish") or outline.ops.get("Softplus")
    return published.YOLOV4 if mish else published.YOLOV3
