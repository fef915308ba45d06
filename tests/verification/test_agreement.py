"""Boxes of two models are matched one to one, by class and overlap."""

from pathlib import Path

import numpy as np

from polyyolo.records import Agreement
from polyyolo.verification.agreement import Pair, agreement, disagreement, match, typical, worst
from polyyolo.verification.boxes import Boxes


def boxes(*rows):
    """Rows of x1, x2, score, class; each box is 10 high."""
    table = np.array(rows, np.float32).reshape(-1, 4)
    zeros = np.zeros(len(table), np.float32)
    return Boxes(
        np.stack([table[:, 0], zeros, table[:, 1], zeros + 10], axis=1), table[:, 2], table[:, 3].astype(np.int64)
    )


def pair(reference, candidate, name="a.jpg"):
    return Pair(Path(name), boxes(*reference), boxes(*candidate))


def test_a_box_is_matched_once_and_with_its_nearest():
    reference = boxes((0, 10, 0.9, 0), (2, 12, 0.8, 0))
    candidate = boxes((1.8, 11.8, 0.9, 0), (0.5, 10.5, 0.3, 0), (2, 12, 0.3, 0))

    ours, theirs = match(reference, candidate, 0.5)

    assert sorted(zip(ours.tolist(), theirs.tolist(), strict=True)) == [(0, 1), (1, 2)]


def test_another_class_or_too_little_overlap_is_no_match():
    reference = boxes((0, 10, 0.9, 0))

    assert len(match(reference, boxes((0, 10, 0.9, 1)), 0.5)[0]) == 0
    assert len(match(reference, boxes((0, 8, 0.9, 0)), 0.9)[0]) == 0
    assert len(match(reference, boxes((0, 8, 0.9, 0)), 0.8)[0]) == 1
    assert len(match(reference, boxes(), 0.5)[0]) == 0


def test_agreement_counts_over_all_pictures():
    pairs = [
        pair([(0, 10, 0.9, 0), (30, 40, 0.9, 0)], [(0, 10, 0.8, 0)]),
        pair([(0, 10, 0.9, 0)], [(0, 9, 0.8, 0), (50, 60, 0.5, 2)]),
        pair([], []),
    ]

    result = agreement(pairs, confidence=0.25, iou=0.5)

    assert result == Agreement(0.25, 0.5, matched=2, reference_boxes=3, candidate_boxes=3)
    assert result.f1 == 2 / 3


def test_no_pictures_agree_about_nothing():
    assert agreement([], confidence=0.25, iou=0.5) == Agreement(0.25, 0.5, 0, 0, 0)


def test_the_worst_pictures_are_those_where_sure_boxes_are_missing():
    equal = pair([(0, 10, 0.9, 0)], [(0, 10, 0.8, 0)], "equal.jpg")
    missing = pair([(0, 10, 0.9, 0)], [], "missing.jpg")
    flicker = pair([(0, 10, 0.9, 0)], [(0, 10, 0.9, 0), (20, 30, 0.26, 0), (40, 50, 0.27, 0)], "flicker.jpg")

    assert [shown.picture.name for shown in worst([equal, flicker, missing], 5)] == ["missing.jpg", "flicker.jpg"]
    assert disagreement(equal) == 0
    np.testing.assert_allclose(disagreement(flicker), 0.53, rtol=1e-6)


def test_typical_pictures_stand_in_the_middle_and_have_boxes():
    pairs = [pair([(0, 10, 0.9, 0)], [(20, 30, score, 0)], f"{score}.jpg") for score in (0.3, 0.9, 0.5)]

    assert [shown.picture.name for shown in typical([*pairs, pair([], [])], 1)] == ["0.5.jpg"]
    assert len(typical(pairs, 9)) == 3
