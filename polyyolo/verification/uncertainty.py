"""How far chance in the choice of pictures may have moved an accuracy drop."""

import math
from collections.abc import Sequence

from polyyolo import progress
from polyyolo.verification.accuracy import map50_95_without
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.truth import Labelled

GROUPS = 8


def drop_error(
    labelled: Labelled, sizes: Sequence[tuple[int, int]], reference: Sequence[Boxes], candidate: Sequence[Boxes]
) -> float | None:
    """Standard error of the drop in mAP50-95 between two models, by a jackknife over eighths of the pictures.

    Both models lose the same eighth, so that what is hard for both cancels out.

    Args:
        labelled: the pictures and their objects.
        sizes: (height, width) of each picture in pixels.
        reference: one model's boxes on each picture, as ``accuracy.score`` takes them.
        candidate: the other's.

    Returns:
        Points (hundredths) of mAP50-95; None for fewer than 8 pictures.
    """
    if len(labelled.pictures) < GROUPS:
        return None
    first, second = (
        map50_95_without(labelled, sizes, found, GROUPS)
        for found in progress.track((reference, candidate), "uncertainty", 2)
    )
    drops = [100 * (one - other) for one, other in zip(first, second, strict=True)]
    mean = sum(drops) / GROUPS
    return math.sqrt((GROUPS - 1) / GROUPS * sum((drop - mean) ** 2 for drop in drops))
