"""Pictures of a page: cut in the middle, exactly, and small enough."""

import base64

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.reports.html.photos import album, encoded, fitting, halves
from polyyolo.verification.agreement import Pair
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.pictures import BAR, GAP, draw_pair


def decoded(photo):
    assert photo.uri.startswith("data:image/jpeg;base64,")
    return cv2.imdecode(np.frombuffer(base64.b64decode(photo.uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)


@given(st.integers(1, 90), st.integers(1, 90))
def test_a_pair_is_cut_into_halves_of_one_size(height, width):
    left, right = (np.full((height, width, 3), level, np.uint8) for level in (10, 200))
    image = np.hstack([left, np.full((height, GAP, 3), 255, np.uint8), right])
    whole = np.vstack([np.zeros((BAR, 2 * width + GAP, 3), np.uint8), image])

    one, other = halves(whole)

    assert np.array_equal(one, left)
    assert np.array_equal(other, right)


def test_the_halves_of_what_the_comparison_draws_are_the_picture_twice(tmp_path):
    """Holds the cut to the drawing: without boxes both halves are the picture, and nothing of bar or gap."""
    picture = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8), (320, 240))
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    nothing = Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))

    one, other = halves(draw_pair(Pair(tmp_path / "a.png", nothing, nothing), ()))

    assert one.shape == other.shape == (540, 720, 3)
    assert np.array_equal(one, other)
    small = cv2.resize(one, (320, 240), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - picture).mean() < 2


@pytest.mark.parametrize("size", [(BAR, 100), (200, GAP), (200, 101), (1, 1)])
def test_what_is_no_pair_is_not_cut(size):
    assert halves(np.zeros((*size, 3), np.uint8)) is None


def test_pictures_are_worse_or_fewer_only_where_the_budget_needs_it():
    noise = [np.random.default_rng(seed).integers(0, 256, (200, 300, 3), np.uint8) for seed in range(4)]
    best = [encoded(picture, 1.0, 82) for picture in noise]
    room = sum(len(photo.uri) for photo in best)

    assert fitting(noise, room) == best
    less = fitting(noise, room // 2)
    assert len(less) == 4
    assert less[0].width < 300 or len(less[0].uri) < len(best[0].uri)
    few = fitting(noise, room // 40)
    assert len(few) < 4
    assert sum(len(photo.uri) for photo in few) <= room // 40


def test_the_size_that_is_told_is_the_pictures(full, folder):
    found = album(full, folder)

    for photo in (found.sheet, found.comparisons[0].left, found.comparisons[1].right):
        assert decoded(photo).shape[:2] == (photo.height, photo.width)
    assert found.comparisons[0].left.width == found.comparisons[0].right.width == 240


def test_the_worst_disagreement_comes_first_with_what_was_found(full, folder):
    found = album(full, folder)

    assert [each.shown.picture for each in found.comparisons] == ["street.jpg", "other.jpg"]
    assert found.missing == ()


def test_what_does_not_fit_is_told(full, folder):
    found = album(full, folder, budget=2_500)

    assert [each.shown.picture for each in found.comparisons] == ["street.jpg"]
    assert found.left_out == 1
