"""The contact sheet shows what the model sees, right colours and wrong ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from polyyolo.images.choose import choose
from polyyolo.images.letterbox import to_tensor
from polyyolo.images.preview import contact_sheet, heading, to_pixels
from polyyolo.images.reading import decode
from polyyolo.records import Preprocessing

ORANGE = (30, 140, 250)  # blue, green, red


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three wide orange pictures with a grey corner; one name is not ASCII."""
    source = tmp_path / "pictures"
    source.mkdir()
    for name in ("one", "two", "drei-ä"):
        image = np.full((40, 80, 3), ORANGE, np.uint8)
        image[:4, :4] = len(name)
        (source / f"{name}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return source


def sheet(folder: Path, preprocessing: Preprocessing) -> np.ndarray:
    output = folder.parent / "sheet.png"
    contact_sheet(choose(folder, preprocessing, count=3, batch=1), output)
    return decode(output.read_bytes())


@pytest.mark.parametrize(("colour", "shown"), [("rgb", ORANGE), ("bgr", ORANGE[::-1])])
def test_a_swapped_colour_order_is_seen(folder, colour, shown):
    drawn = sheet(folder, Preprocessing((64, 64), colour=colour))

    middle = drawn[18 + 2 + 100, 2 + 100]  # the heading, a margin, half a tile of 200 pixels
    assert np.abs(middle.astype(int) - shown).max() <= 1


def test_tiles_stand_side_by_side_with_padding_and_captions(folder):
    drawn = sheet(folder, Preprocessing((64, 64), pad=7))

    assert drawn.shape == (18 + 2 + 200 + 18, 3 * 204, 3)
    assert drawn[18 + 2 + 10, 100].tolist() == [7, 7, 7]
    assert all((drawn[-18:, column : column + 204] < 128).any() for column in (0, 204, 408))


def test_one_narrow_tile_leaves_the_heading_whole(folder):
    contact_sheet(choose(folder / "one.png", Preprocessing((64, 32)), count=1, batch=1), folder / "sheet.png")

    assert decode((folder / "sheet.png").read_bytes()).shape[1] >= 400


@pytest.mark.parametrize(
    "how",
    [
        Preprocessing((40, 80)),
        Preprocessing((40, 80), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        Preprocessing((40, 80), dtype="uint8", scale=1.0),
        Preprocessing((40, 80), dtype="float16"),
    ],
)
def test_drawing_undoes_the_scaling_exactly(how):
    image = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)

    assert np.array_equal(to_pixels(to_tensor(image, how)[0], how), image)


def test_a_grey_tensor_is_drawn_grey():
    how = Preprocessing((40, 80), colour="grey")
    tensor, _ = to_tensor(np.full((40, 80, 3), ORANGE, np.uint8), how)

    assert np.unique(to_pixels(tensor, how)).tolist() == [160]


def test_the_heading_says_what_every_tile_went_through(folder):
    chosen = choose(folder, Preprocessing((384, 1280), fit="stretch", scale=1.0), count=3, batch=1)

    assert heading(chosen) == "1280 wide, 384 high, stretch, rgb, 0..255 float32"
