"""Boxes, names and scores can be read on any picture."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from matplotlib import get_data_path

from polyyolo.verification import drawing, lettering
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.drawing import ALARM, colour_of, draw_boxes, style_for


def boxes(*corners, scores=None, classes=None):
    table = np.array(corners, np.float32).reshape(-1, 4)
    count = len(table)
    return Boxes(
        table,
        np.array(scores or [0.5] * count, np.float32),
        np.array(classes or [0] * count, np.int64),
    )


def near(image, colour, slack=30):
    return np.abs(image.astype(int) - colour).max(axis=2) <= slack


def test_a_class_keeps_its_colour_and_dark_text_can_be_read_on_it():
    colours = [colour_of(label) for label in range(80)]

    assert colours == [colour_of(label) for label in range(80)]
    assert len(set(colours)) == 80
    lumas = [0.114 * blue + 0.587 * green + 0.299 * red for blue, green, red in colours]
    assert min(lumas) > 148
    neighbours = [np.abs(np.subtract(*pair)).max() for pair in pairwise(colours)]
    assert min(neighbours) > 60
    assert min(np.abs(np.subtract(colour, ALARM)).max() for colour in colours) > 90


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_box_shows_on_dark_and_on_light_ground(ground):
    image = np.full((480, 640, 3), ground, np.uint8)

    drawn = draw_boxes(image, boxes((100, 100, 300, 300)), ("cat",))

    assert (image == ground).all()
    across = drawn[200:201, 94:107]
    assert near(across, colour_of(0)).any()
    assert near(across, (32, 32, 32), 100).any()
    assert (drawn[150:280, 150:280] == ground).all()


def test_lines_and_letters_grow_with_the_picture():
    styles = [style_for(*size) for size in ((48, 64), (480, 640), (1080, 1920), (3000, 4000))]

    assert [(style.line, style.letters) for style in styles] == [(1, 10), (2, 13), (5, 27), (12, 60)]


def test_tags_do_not_cover_each_other(monkeypatch):
    places = []
    write = drawing._write
    monkeypatch.setattr(drawing, "_write", lambda *it: (places.append(it[2]), write(*it)))
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 400, (60, 2))
    found = boxes(*np.hstack([corners, corners + 60]), scores=generator.uniform(0.3, 1, 60).tolist())

    draw_boxes(np.zeros((480, 640, 3), np.uint8), found, ("cat",))

    covered = np.zeros((480, 640), int)
    for left, top, width, height in places:
        assert min(left, top) >= 0
        covered[top : top + height, left : left + width] += 1
    assert 20 < len(places) < 60
    assert covered.max() == 1


def test_a_score_too_many_for_its_place_is_left_out_and_its_box_drawn():
    same = boxes(*[(200, 200, 230, 230)] * 9, scores=[0.9] * 9)

    drawn = draw_boxes(np.zeros((480, 640, 3), np.uint8), same, ("cat",))

    assert near(drawn, colour_of(0)).any(axis=0).sum() < 100


@pytest.mark.parametrize("name", ["größe", "машина", "σκύλος", ""])
def test_names_in_other_scripts_are_written_as_they_are(name):
    assert lettering.font_file(name) == lettering.USUAL
    blank = np.full((60, 300, 3), 255, np.uint8)
    written, questions = blank.copy(), blank.copy()
    lettering.write(written, name, (5, 5), 20, (0, 0, 0))
    lettering.write(questions, "?" * len(name), (5, 5), 20, (0, 0, 0))

    assert (written != questions).any() == bool(name)


@pytest.mark.parametrize("broken", ["\n", "\r\n", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_a_line_break_in_a_name_is_written_as_a_blank(broken):
    image = np.full((60, 300, 3), 128, np.uint8)
    found = boxes((10, 20, 200, 50))

    drawn = draw_boxes(image, found, (f"traffic{broken}light",))

    np.testing.assert_array_equal(drawn, draw_boxes(image, found, ("traffic light",)))
    assert lettering.size_of(f"a{broken}b", 20) == lettering.size_of("a b", 20)


def test_letters_that_the_usual_font_lacks_come_from_another(monkeypatch, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    able = lettering.Path(get_data_path(), "fonts", "ttf", "STIXNonUni.ttf")
    private = chr(min(lettering._letters_of(able) - lettering._letters_of(lettering.USUAL)))
    monkeypatch.setattr(lettering, "_installed", lambda: (tmp_path / "broken.ttf", able))
    lettering._other_font.cache_clear()

    assert lettering.font_file(private) == able
    assert lettering.font_file(private + " 0.50") == able
    monkeypatch.setattr(lettering, "_installed", tuple)
    lettering._other_font.cache_clear()
    assert lettering.font_file(private) == lettering.USUAL


def test_text_is_cut_off_at_the_edge():
    bar = np.zeros((20, 40, 3), np.uint8)

    end = lettering.write(bar, "a very long title", (10, 10), 20, (255, 255, 255))

    assert end > 100
    assert bar[10:, 10:].any()
    assert not bar[:10].any()


def test_drawing_a_crowd_is_quick():
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 500, (300, 2))
    crowd = boxes(*np.hstack([corners, corners + 40]), classes=list(range(80)) * 3 + [0] * 60)
    image = np.zeros((640, 640, 3), np.uint8)
    draw_boxes(image, crowd, ())

    started = cv2.getTickCount()
    draw_boxes(image, crowd, ())

    assert (cv2.getTickCount() - started) / cv2.getTickFrequency() < 1
