"""Boxes of one picture as arrays, and how much they overlap."""

from typing import Any, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@frozen(eq=False)
class Boxes:
    """N boxes of one picture.

    Attributes:
        xyxy: (N, 4) float32, x and y of the upper left and of the lower right corner in pixels.
        scores: (N,) float32, 0 to 1.
        classes: (N,) int64, index of each box's class.
    """

    xyxy: Array
    scores: Array
    classes: Array

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: Array) -> "Boxes":
        """The boxes that an index array or a mask chooses, in its order."""
        return Boxes(self.xyxy[chosen], self.scores[chosen], self.classes[chosen])


def overlaps(first: Array, second: Array) -> Array:
    """Intersection over union of every pair.

    Args:
        first: (N, 4) corners.
        second: (M, 4) corners.

    Returns:
        (N, M) values from 0 to 1; 0 where either box has no area.
    """
    width, height = (
        np.minimum(first[:, None, axis + 2], second[:, axis + 2]) - np.maximum(first[:, None, axis], second[:, axis])
        for axis in (0, 1)
    )
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = areas(first)[:, None] + areas(second) - shared
    ratio: Array = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return ratio


def areas(xyxy: Array) -> Array:
    """Area of each of (N, 4) boxes in square pixels; 0 for a box whose corners are crossed."""
    area: Array = np.prod(np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0), axis=1)
    return area
