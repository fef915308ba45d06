"""How much a quantized model's noise matters: on the scores of what the FP32 model sees, not on background.

Background fills nearly all of a picture, so that the error of all raw outputs says little about the objects in it.
Adding how far boxes miss (1 - IoU) was tried and made no better choice of layers on any of three models.
"""

from collections.abc import Callable, Iterable, Mapping
from types import EllipsisType
from typing import TypeAlias

import numpy as np
from attrs import frozen

from polyyolo.records import SAME_OBJECT, Head, HeadKind
from polyyolo.verification.agreement import match
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.decode import decode, scores_of_cells
from polyyolo.verification.noise import difference

SEEN = 0.05
"""Class scores above this count as something seen: what detection shows, and what nearly shows."""

Where: TypeAlias = Array | tuple[Boxes, ...] | EllipsisType
_CELLS = frozenset(HeadKind) - {HeadKind.END_TO_END, HeadKind.NONE}


@frozen(eq=False)
class Sight:
    """What the FP32 model saw on one picture.

    Attributes:
        where: flat indices of the scores that matter; the boxes of each picture of the batch that an end-to-end model
            chose; ... where all of all outputs does.
        values: the values there, float64: of the scores, or of each output.
    """

    where: Where
    values: tuple[Array, ...]

    @property
    def power(self) -> float:
        """Sum of the squares of the values."""
        return _power(self.values)


@frozen
class Gauge:
    """Measures noise on what a head sees; on all of the raw outputs where that is unknown.

    The rows of an end-to-end model are in the order of their scores, so that a little noise changes all that follow:
    boxes are looked for where they were.
    """

    head: Head

    def see(self, outputs: Mapping[str, Array]) -> Sight | None:
        """Keep what matters of the FP32 model's outputs for one picture; None where it sees nothing."""
        where = self._where(outputs)
        seen = self._values(where, outputs)
        return Sight(where, seen) if any(each.size for each in seen) else None

    def noise(self, sight: Sight, outputs: Mapping[str, Array]) -> float:
        """Give the power of the noise against that of the signal."""
        both = zip(self._values(sight.where, outputs), sight.values, strict=True)
        return _power(difference(each, seen) for each, seen in both) / max(sight.power, 1e-30)

    def _where(self, outputs: Mapping[str, Array]) -> Where:
        if self.head.kind in _CELLS:
            return np.flatnonzero(scores_of_cells(outputs, self.head) > SEEN)
        return tuple(decode(outputs, self.head, confidence=SEEN)) if self.head.kind is HeadKind.END_TO_END else ...

    def _values(self, where: Where, outputs: Mapping[str, Array]) -> tuple[Array, ...]:
        if isinstance(where, EllipsisType):
            return tuple(np.asarray(value, np.float64) for value in outputs.values())
        if isinstance(where, tuple):
            found = decode(outputs, self.head, confidence=0)
            return (np.concatenate([_scores_at(*both) for both in zip(where, found, strict=True)]),)
        return (scores_of_cells(outputs, self.head).ravel()[where].astype(np.float64),)


def _scores_at(seen: Boxes, found: Boxes) -> Array:
    """Give the score of the box that is found in the place of each that was seen; 0 where none is."""
    ours, theirs = match(seen, found, SAME_OBJECT)
    scores = np.zeros(len(seen))
    scores[ours] = found.scores[theirs]
    return scores


def _power(values: Iterable[Array]) -> float:
    return float(sum((each**2).sum() for each in values))


def look_of(head: Head) -> Callable[[Mapping[str, Array]], list[Array]] | None:
    """Give what tells from a batch of outputs where each picture holds something; None without a head."""
    if head.kind is HeadKind.NONE:
        return None
    return lambda outputs: [boxes.xyxy for boxes in decode(outputs, head, confidence=SEEN)]
