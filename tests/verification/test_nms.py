"""Non-maximum suppression keeps its promises on anything, and its pace on thirty thousand candidates."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyyolo.verification import nms as module
from polyyolo.verification.boxes import Boxes, overlaps
from polyyolo.verification.nms import nms

IOU = 0.6


@st.composite
def candidates(draw):
    """Up to 400 boxes of 1 to 4 classes, crowded, each with a score of its own."""
    count = draw(st.integers(0, 400))
    return random_boxes(draw(st.integers(0, 2**31)), count, draw(st.integers(1, 4)), draw(st.sampled_from([30, 200])))


def random_boxes(seed, count, classes, spread):
    rng = np.random.default_rng(seed)
    low = rng.uniform(-10, spread, (count, 2))
    corners = np.concatenate([low, low + rng.uniform(0, 60, (count, 2))], axis=1).astype(np.float32)
    scores = (rng.permutation(count) + 1).astype(np.float32) / (count + 1)
    return Boxes(corners, scores, rng.integers(0, classes, count))


def one_by_one(boxes, iou, limit=None):
    """The rule as it is told: take the best, drop what overlaps it, go on."""
    left = list(np.argsort(-boxes.scores))
    kept = []
    while left and len(kept) != limit:
        best = left.pop(0)
        kept.append(best)
        shared = overlaps(boxes.xyxy[[best]].astype(float), boxes.xyxy[left].astype(float))[0]
        left = [
            other
            for other, overlap in zip(left, shared, strict=True)
            if overlap <= iou or boxes.classes[other] != boxes.classes[best]
        ]
    return kept


@given(candidates())
@settings(max_examples=60, deadline=None)
def test_blocks_give_exactly_what_one_box_after_the_other_gives(boxes):
    survivors = nms(boxes, iou=IOU, limit=len(boxes) + 1)

    np.testing.assert_array_equal(survivors.scores, boxes.scores[one_by_one(boxes, IOU)])


@given(candidates(), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_survivors_do_not_overlap_are_sorted_and_stay_when_suppressed_again(boxes, limit):
    survivors = nms(boxes, iou=IOU, limit=limit)

    shared = overlaps(survivors.xyxy.astype(float), survivors.xyxy.astype(float))
    rivals = shared * (survivors.classes[:, None] == survivors.classes) * ~np.eye(len(survivors), dtype=bool)
    assert len(survivors) <= limit
    assert rivals.max(initial=0) <= IOU + 1e-9
    assert (np.diff(survivors.scores) <= 0).all()
    np.testing.assert_array_equal(nms(survivors, iou=IOU, limit=limit).scores, survivors.scores)


@given(candidates(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_candidates_does_not_matter(boxes, random):
    shuffled = list(range(len(boxes)))
    random.shuffle(shuffled)

    np.testing.assert_array_equal(nms(boxes.take(np.array(shuffled, int)), iou=IOU).scores, nms(boxes, iou=IOU).scores)


def test_a_higher_confidence_afterwards_gives_the_same_as_before():
    """Weak boxes never suppress strong ones, so that one pass at 0.001 also answers for 0.25."""
    boxes = random_boxes(seed=1, count=3000, classes=5, spread=300)

    late = nms(boxes, limit=3000)
    early = nms(boxes.take(boxes.scores > 0.25), limit=3000)

    np.testing.assert_array_equal(late.scores[late.scores > 0.25], early.scores)


def test_equal_boxes_of_different_classes_both_survive_and_of_one_class_only_the_better():
    same_place = np.array([[10, 10, 50, 50]] * 3, np.float32)

    survivors = nms(Boxes(same_place, np.array([0.5, 0.9, 0.7], np.float32), np.array([0, 1, 0])))

    assert survivors.classes.tolist() == [1, 0]
    np.testing.assert_allclose(survivors.scores, [0.9, 0.7])


def test_far_classes_and_small_boxes_do_not_blur():
    """Classes are told apart by moving them: the 5000th class lies millions of pixels away."""
    low = np.array([[100, 100], [101, 100]], np.float32)
    pair = Boxes(np.concatenate([low, low + 4], axis=1), np.array([0.9, 0.8], np.float32), np.array([5000, 5000]))

    assert len(nms(pair, iou=0.59)) == 1  # they overlap by 12 / 20
    assert len(nms(pair, iou=0.61)) == 2


def test_no_candidates_no_survivors():
    assert len(nms(random_boxes(seed=0, count=0, classes=1, spread=10))) == 0


@pytest.mark.parametrize("classes", [1, 80])
def test_thirty_thousand_candidates_take_less_than_a_tenth_of_a_second(classes):
    boxes = random_boxes(seed=2, count=module.CANDIDATES, classes=classes, spread=640)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        survivors = nms(boxes, iou=IOU, limit=300)
        seconds.append(time.process_time() - start)

    assert len(survivors) == 300
    assert min(seconds) < 0.1


@pytest.mark.parametrize(("classes", "spread"), [(1, 640), (80, 60)])
def test_thirty_thousand_candidates_are_suppressed_rightly(classes, spread):
    """As many as conf 0.001 gives; in the last case they lie in a heap, and few survive each other."""
    boxes = random_boxes(seed=3, count=module.CANDIDATES, classes=classes, spread=spread)

    survivors = nms(boxes, iou=IOU, limit=60)

    np.testing.assert_array_equal(survivors.scores, boxes.scores[one_by_one(boxes, IOU, limit=60)])


def test_of_more_candidates_than_the_most_the_weakest_are_not_looked_at(monkeypatch):
    """400 boxes that do not touch would all survive; here only the best 300 are looked at."""
    monkeypatch.setattr(module, "CANDIDATES", 300)
    low = np.column_stack([np.arange(400) * 10.0, np.zeros(400)])
    scores = (np.arange(400) + 1) / 401

    survivors = nms(Boxes(np.concatenate([low, low + 5], axis=1), scores, np.zeros(400, int)), limit=400)

    np.testing.assert_array_equal(survivors.scores, scores[:99:-1])


def test_boxes_without_an_area_overlap_nothing():
    flat = np.array([[5, 5, 5, 9], [5, 5, 5, 9], [9, 9, 3, 3]], float)

    assert overlaps(flat, flat).tolist() == [[0.0] * 3] * 3
