"""Both models' boxes are drawn side by side, and what only one has is red."""

import cv2
import numpy as np
import pytest

from polyyolo.verification.agreement import Pair
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.pictures import ALARM, BAR, GAP, SIDE, draw_pair, write_pairs


def boxes(*corners):
    table = np.array(corners, np.float32).reshape(-1, 4)
    return Boxes(table, np.full(len(table), 0.5, np.float32), np.zeros(len(table), np.int64))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((240, 360, 3), 128, np.uint8))
    return path


def red(image):
    return int((np.abs(image.astype(int) - ALARM).sum(axis=2) < 30).sum())


def test_a_box_that_only_one_model_has_is_red_on_its_side_alone(picture):
    both, alone = (20, 40, 100, 120), (200, 60, 300, 200)

    drawn = draw_pair(Pair(picture, boxes(both, alone), boxes(both)), ("cat",))

    assert drawn.shape == (BAR + 480, 2 * SIDE + GAP, 3)
    left, right = drawn[BAR:, :SIDE], drawn[BAR:, SIDE + GAP :]
    assert red(left) > 2000
    assert red(right) == 0
    assert red(left[120:400, 400:600]) > 1000  # where it lies, twice as large
    assert (right != 128).any()


def test_the_picture_below_the_boxes_is_the_same_on_both_sides(picture):
    drawn = draw_pair(Pair(picture, boxes(), boxes()), ())

    np.testing.assert_array_equal(drawn[BAR:, :SIDE], drawn[BAR:, SIDE + GAP :])
    np.testing.assert_array_equal(drawn[BAR:, :SIDE], 128)


def test_boxes_at_the_edges_and_classes_without_a_name_are_drawn_all_the_same(picture):
    edge = Boxes(np.array([[0, 0, 360, 240], [355, 235, 360, 240]], np.float32), np.ones(2), np.array([7, 90]))

    drawn = draw_pair(Pair(picture, edge, edge), ("cat",), ("before", "after"))

    assert red(drawn) == 0
    assert (drawn[BAR:, :SIDE] != 128).any()


def test_a_picture_of_the_longest_name_is_drawn_into_a_file_whose_name_fits(picture, tmp_path):
    """255 bytes are what a file system takes; letters are not cut in half."""
    long = picture.rename(tmp_path / ("ö" * 125 + "a.png"))

    (written,) = write_pairs([Pair(long, boxes(), boxes())], (), tmp_path / "drawn")

    assert written.name == "01-" + "ö" * 124 + ".jpg"
    assert written.is_file()


def test_files_are_numbered_in_the_order_of_the_pairs(picture, tmp_path):
    pair = Pair(picture, boxes((20, 40, 100, 120)), boxes())

    written = write_pairs([pair, pair], ("cat",), tmp_path / "drawn")

    assert [path.name for path in written] == ["01-grey.jpg", "02-grey.jpg"]
    assert cv2.imread(str(written[1])).shape == (BAR + 480, 2 * SIDE + GAP, 3)
