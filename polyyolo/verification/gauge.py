"""How much a quantized model's noise matters: on the scores of what the FP32 model sees, not on background.

Background fills nearly all of a picture, so that the error of all raw outputs says little about the objects in it.
Adding how far boxes miss (1 - IoU) was tried and made no better choice of layers on any of three models.
"""

from collections.abc import Callable, Mapping

import numpy as np
from attrs import frozen

from polyyolo.records import Head, HeadKind
from polyyolo.verification.boxes import Array
from polyyolo.verification.decode import decode, scores_of_cells

SEEN = 0.05
"""Class scores above this count as something seen: what detection shows, and what nearly shows."""

_CELLS = frozenset({HeadKind.V5, HeadKind.V8, HeadKind.V5_RAW, HeadKind.DARKNET_RAW})


@frozen(eq=False)
class Sight:
    """What the FP32 model saw on one picture.

    Attributes:
        where: flat indices of the values that matter.
        values: the values there, (K,) float64.
    """

    where: Array
    values: Array


@frozen
class Gauge:
    """Measures noise on what a head sees; on all of the raw outputs where cells cannot be read."""

    head: Head

    def see(self, outputs: Mapping[str, Array]) -> Sight | None:
        """Keep what matters of the FP32 model's outputs for one picture; None where it sees nothing."""
        values = self._values(outputs)
        where = np.flatnonzero(values > SEEN) if self.head.kind in _CELLS else np.arange(values.size)
        return Sight(where, values[where]) if len(where) else None

    def noise(self, sight: Sight, outputs: Mapping[str, Array]) -> float:
        """Give the power of the noise against that of the signal."""
        error = self._values(outputs)[sight.where] - sight.values
        return float((error**2).sum() / max(float((sight.values**2).sum()), 1e-30))

    def _values(self, outputs: Mapping[str, Array]) -> Array:
        if self.head.kind in _CELLS:
            return scores_of_cells(outputs, self.head).ravel().astype(np.float64)
        return np.concatenate([np.asarray(value, np.float64).ravel() for value in outputs.values()])


def look_of(head: Head) -> Callable[[Mapping[str, Array]], list[Array]] | None:
    """Give what tells from a batch of outputs where each picture holds something; None without a head."""
    if head.kind is HeadKind.NONE:
        return None
    return lambda outputs: [boxes.xyxy for boxes in decode(outputs, head, confidence=SEEN)]
