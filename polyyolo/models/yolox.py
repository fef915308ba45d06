"""YOLOX's head: one row a cell, with an objectness; its boxes are decoded in the model, or by whoever reads them."""

from polyyolo.models.outline import Outline, grid_of
from polyyolo.models.trail import Trail
from polyyolo.records import Head, HeadKind, cells_at

YOLOX = (HeadKind.YOLOX, HeadKind.YOLOX_RAW)
BRANCHES = 3
"""Convolutions that end each map: of the box, the objectness and the classes."""


def yolox_head(outline: Outline, *, asked: HeadKind | None = None) -> Head | None:
    """Find an output (B, N, 5 + C) with a row a cell, from three convolutions a stride.

    YOLOv6 has such rows too, without the exponential that gives YOLOX's sizes.
    """
    for name, shape in outline.shapes.items():
        strides, anchors = (len(shape) == 3 and grid_of(shape[1], outline.size)) or ((), 0)
        if anchors != 1 or shape[2] <= 5 or 0 < len(outline.names) != shape[2] - 5:
            continue
        kind = asked or _told(outline.trails[name], len(strides))
        if kind:
            return Head(
                kind=kind,
                classes=shape[2] - 5,
                outputs=(name,),
                strides=strides,
                cells=cells_at(outline.size, strides),
                why=(
                    f"{name} has {shape[1]} rows of 5 + {shape[2] - 5}, {outline.each(strides, anchors)}, "
                    f"{_decoded(kind)}"
                ),
            )
    return None


def _told(trail: Trail, strides: int) -> HeadKind | None:
    if len(trail.convs) != BRANCHES * strides or "Sigmoid" not in trail.ops:
        return None
    if not trail.decodes:
        return HeadKind.YOLOX_RAW
    return HeadKind.YOLOX if "Exp" in trail.ops else None


def _decoded(kind: HeadKind) -> str:
    return "decoded in the model" if kind is HeadKind.YOLOX else "not decoded"
