"""Non-maximum suppression: of boxes of one class that overlap, only the best stays."""

import numpy as np

from polyyolo.verification.boxes import Array, Boxes, overlaps

CANDIDATES = 30_000
"""At most so many of the best boxes are looked at, as YOLOv5 does."""

BLOCK = 128
"""Boxes compared with each other at once: larger blocks waste pairs, smaller ones Python's time."""


def nms(boxes: Boxes, *, iou: float = 0.6, limit: int = 100) -> Boxes:
    """Keep the best boxes, none of which overlaps a better one of its own class by more than ``iou``.

    Exactly the greedy rule, best score first (the earlier box where scores are equal), worked off in blocks: those
    that a survivor covers fall out in one comparison. It stops when ``limit`` boxes have survived, so that thousands of
    weak candidates cost nothing.

    Args:
        boxes: candidates in any order.
        iou: 0 to 1; boxes of a class may overlap up to this.
        limit: how many boxes may survive; COCO counts 100 a picture.

    Returns:
        The survivors, best first.
    """
    order = np.argsort(-boxes.scores, kind="stable")[:CANDIDATES]
    apart = _apart_by_class(boxes)
    kept = order[:0]
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        block = block[~(overlaps(apart[block], apart[kept]) > iou).any(axis=1)]
        kept = np.concatenate([kept, block[_best(overlaps(apart[block], apart[block]) > iou)]])
        if len(kept) >= limit:
            break
    return boxes.take(kept[:limit])


def _apart_by_class(boxes: Boxes) -> Array:
    """Move each class to a place of its own, so that boxes of different classes never overlap.

    In float64: in float32 a shift by tens of thousands of pixels would blur the overlap of small boxes.
    """
    corners = boxes.xyxy.astype(np.float64)
    if not len(corners):
        return corners
    pitch = corners.max() - corners.min() + 1
    apart: Array = corners + boxes.classes[:, None] * pitch
    return apart


def _best(covers: Array) -> Array:
    """Which boxes of a block survive the better ones of the same block.

    Args:
        covers: (N, N) bool, best box first; whether two boxes overlap too much.

    Returns:
        (N,) bool.
    """
    alive = np.ones(len(covers), bool)
    for index in np.flatnonzero(np.triu(covers, 1).any(axis=1)):
        if alive[index]:
            alive[index + 1 :] &= ~covers[index, index + 1 :]
    return alive
