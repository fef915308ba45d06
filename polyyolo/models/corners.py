"""Boxes in one output and their class scores in another, as of YOLO-NAS, DAMO-YOLO and YOLOv4 from PyTorch."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from attrs import evolve

from polyyolo.models.outline import Outline, grid_of
from polyyolo.models.probe import Array
from polyyolo.records import Head, HeadKind

FAR = 4
"""Shares of the picture are smaller, pixels larger."""
SLACK = 1e-3
"""By how much what is 0 to 1, or a side of no length, may be off: FP16 rounds."""


def corners_head(outline: Outline, *, asked: bool = False) -> Head | None:
    """Find corners beside scores, one for each cell and anchor.

    Shapes do not tell corners from centre and size, nor pixels from shares of the picture, nor boxes from the scores
    of four classes. So the model is run once. Where that tells nothing and such a head is ``asked`` for, the only
    choice is taken, in pixels.
    """
    fitting = [head for pair in boxes_and_scores(outline) if (head := _read(outline, *pair))]
    values = outline.run() if fitting else {}
    told = (head for found in fitting if values and (head := _with_unit(found, outline.size, values)))
    return next(told, fitting[0] if asked and len(fitting) == 1 else None)


def boxes_and_scores(outline: Outline) -> Iterator[tuple[str, str]]:
    """Find two outputs of which one has four numbers for each row or column of the other: boxes, and their scores.

    YOLO-NAS has (B, N, 4) and (B, N, C), YOLOv4 from PyTorch (B, N, 1, 4) and (B, N, C).
    """
    for scores, cells in outline.shapes.items():
        for boxes, shape in outline.shapes.items():
            fours = (len(shape) == 3 and 4 in shape[1:]) or (len(shape) == 4 and shape[2:] == (1, 4))
            count = math.prod(shape[1:])
            if boxes != scores and len(cells) == 3 and fours and count in (4 * cells[1], 4 * cells[2]):
                yield boxes, scores


def by_box(stack: Array, values: int) -> Array:
    """View (B, values, N) and (B, N, 1, values) as (B, N, values); other shapes stay as they are."""
    if stack.ndim == 4 and stack.shape[2] == 1:
        return stack[:, :, 0]
    swapped = stack.ndim == 3 and stack.shape[2] != values
    return stack.swapaxes(1, 2) if swapped else stack


def _read(outline: Outline, boxes: str, scores: str) -> Head | None:
    """Read two outputs as the boxes of cells and their scores; None where their shapes do not allow it."""
    shape = outline.shapes[boxes]
    cells = math.prod(shape[1:]) // 4
    _, rows, columns = outline.shapes[scores]
    grid = grid_of(cells, outline.size)
    if grid is None or outline.trails[boxes].selects or outline.trails[scores].selects:
        return None
    strides, anchors = grid
    classes = columns if rows == cells else rows
    return Head(
        kind=HeadKind.CORNERS,
        classes=classes,
        outputs=(boxes, scores),
        strides=strides,
        why=(
            f"{boxes} has the corners of {cells} boxes and {scores} their {classes} scores, "
            f"{outline.each(strides, anchors)}"
        ),
    )


def _with_unit(head: Head, size: tuple[int, int], values: Mapping[str, Array]) -> Head | None:
    """Tell whether corners are in pixels or shares of the picture; None where they are none, or scores no chances.

    Every box ends behind where it begins, and they lie all over the picture: with centre and size, a box in the last
    column would have to be wider than the picture.
    """
    boxes, chances = (by_box(values[name], count) for name, count in zip(head.outputs, (4, head.classes), strict=True))
    if not _are_chances(chances):
        return None
    if end_behind(boxes, max(size)):
        return head
    are_shares = end_behind(boxes, 1) and boxes.max() < FAR
    return evolve(head, picture=size, why=f"{head.why}; boxes are shares of the picture") if are_shares else None


def end_behind(rows: Array, side: int) -> bool:
    """Whether boxes (..., 4) end behind where they begin, and lie on both halves of a picture of so long a side."""
    ordered = bool((rows[..., 2:] - rows[..., :2] >= -SLACK * side).all())
    return ordered and bool(rows.min() < side / 2 < rows.max())


def _are_chances(rows: Array) -> bool:
    """Whether all is 0 to 1, but not by a Softmax: that is not YOLO's, SSD has a score for the background in it."""
    of_one = np.abs(rows.sum(axis=2, dtype=np.float64) - 1) <= SLACK
    return bool(rows.min() >= -SLACK and rows.max() <= 1 + SLACK and not of_one.all())
