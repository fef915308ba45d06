"""How much a quantized model's noise matters: on the scores of what the FP32 model sees, not on background.

Background fills nearly all of a picture, so that the error of all raw outputs says little about the objects in it.
Adding how far boxes miss (1 - IoU) was tried and made no better choice of layers on any of three models.
"""

from collections.abc import Callable, Iterable, Mapping
from types import EllipsisType

import numpy as np
from attrs import frozen

from polyyolo.records import Head, HeadKind
from polyyolo.verification.boxes import Array
from polyyolo.verification.decode import decode, scores_of_cells
from polyyolo.verification.noise import difference

SEEN = 0.05
"""Class scores above this count as something seen: what detection shows, and what nearly shows."""

_CELLS = frozenset(HeadKind) - {HeadKind.END_TO_END, HeadKind.NONE}


@frozen(eq=False)
class Sight:
    """What the FP32 model saw on one picture.

    Attributes:
        where: flat indices of the scores that matter; ... where all of all outputs does.
        values: the values there, float64: of the scores, or of each output.
    """

    where: Array | EllipsisType
    values: tuple[Array, ...]


@frozen
class Gauge:
    """Measures noise on what a head sees; on all of the raw outputs where cells cannot be read."""

    head: Head

    def see(self, outputs: Mapping[str, Array]) -> Sight | None:
        """Keep what matters of the FP32 model's outputs for one picture; None where it sees nothing."""
        values = self._values(outputs)
        where = np.flatnonzero(values[0] > SEEN) if self.head.kind in _CELLS else ...
        seen = tuple(each[where] for each in values)
        return Sight(where, seen) if any(each.size for each in seen) else None

    def noise(self, sight: Sight, outputs: Mapping[str, Array]) -> float:
        """Give the power of the noise against that of the signal."""
        both = zip(self._values(outputs), sight.values, strict=True)
        return _power(difference(each[sight.where], seen) for each, seen in both) / max(_power(sight.values), 1e-30)

    def _values(self, outputs: Mapping[str, Array]) -> tuple[Array, ...]:
        if self.head.kind in _CELLS:
            return (scores_of_cells(outputs, self.head).ravel().astype(np.float64),)
        return tuple(np.asarray(value, np.float64) for value in outputs.values())


def _power(values: Iterable[Array]) -> float:
    return float(sum((each**2).sum() for each in values))


def look_of(head: Head) -> Callable[[Mapping[str, Array]], list[Array]] | None:
    """Give what tells from a batch of outputs where each picture holds something; None without a head."""
    if head.kind is HeadKind.NONE:
        return None
    return lambda outputs: [boxes.xyxy for boxes in decode(outputs, head, confidence=SEEN)]
