"""How well two models agree on the boxes of the same pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from attrs import frozen

from polyyolo.records import SAME_BOX, SAME_OBJECT, Agreement
from polyyolo.verification.boxes import Array, Boxes, overlaps


@frozen(eq=False)
class Pair:
    """What two models found on one picture, in its pixels."""

    picture: Path
    reference: Boxes
    candidate: Boxes


def match(reference: Boxes, candidate: Boxes, iou: float) -> tuple[Array, Array]:
    """Pair boxes of the same class one to one, those that overlap most first.

    Args:
        reference: one model's boxes.
        candidate: the other's.
        iou: least overlap of a pair.

    Returns:
        Two index arrays of equal length: into ``reference`` and into ``candidate``.
    """
    overlap = overlaps(reference.xyxy, candidate.xyxy) * (reference.classes[:, None] == candidate.classes)
    first, second = np.nonzero(overlap >= iou)
    order = np.argsort(-overlap[first, second], kind="stable")
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for one, other in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if one not in pairs and other not in taken:
            pairs[one] = other
            taken.add(other)
    return np.array(list(pairs), int), np.array(list(pairs.values()), int)


def agreement(pairs: Iterable[Pair], *, confidence: float, iou: float) -> Agreement:
    """Count matches over all pictures.

    Args:
        pairs: boxes of both models, each above ``confidence``.
        confidence: recorded with the result.
        iou: least overlap of a match.
    """
    counts = [
        (len(match(pair.reference, pair.candidate, iou)[0]), len(pair.reference), len(pair.candidate)) for pair in pairs
    ]
    matched, ours, theirs = np.sum(counts, axis=0).tolist() if counts else (0, 0, 0)
    return Agreement(confidence, iou, matched, ours, theirs)


def agreements(pairs: Sequence[Pair], *, confidence: float) -> tuple[Agreement, ...]:
    """Count matches as the same object, and as the same box; nothing where there is no picture."""
    overlaps_told = (SAME_OBJECT, SAME_BOX) if pairs else ()
    return tuple(agreement(pairs, confidence=confidence, iou=iou) for iou in overlaps_told)


def disagreement(pair: Pair) -> float:
    """How bad the difference looks: the sum of the scores of boxes that only one model has.

    A missing box of 0.9 weighs as much as three that flicker about 0.3.
    """
    ours, theirs = match(pair.reference, pair.candidate, SAME_OBJECT)
    return float(np.delete(pair.reference.scores, ours).sum() + np.delete(pair.candidate.scores, theirs).sum())


def worst(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """The ``count`` pictures on which the models differ most, worst first; without those on which they do not."""
    ordered = sorted(pairs, key=disagreement, reverse=True)[:count]
    return [pair for pair in ordered if disagreement(pair) > 0]


def typical(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """The ``count`` pictures with boxes whose difference is nearest the median."""
    shown = sorted((pair for pair in pairs if len(pair.reference)), key=disagreement)
    start = max(0, (len(shown) - count) // 2)
    return shown[start : start + count]
