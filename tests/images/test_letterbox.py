"""Pictures land in the tensor where YOLOv5 puts them, and boxes come back."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyyolo.images.letterbox import Fit, to_tensor
from polyyolo.images.overrides import FITS
from polyyolo.records import Preprocessing

SIDES = st.integers(10, 500)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("source", "size", "inside", "offset"),
    [
        ((480, 640), (640, 640), (480, 640), (80, 0)),
        ((640, 427), (640, 640), (640, 427), (0, 106)),  # 213 columns of padding: 106 left, 107 right
        ((100, 200), (416, 416), (208, 416), (104, 0)),  # enlarged
        ((375, 500), (384, 1280), (384, 512), (0, 384)),
    ],
)
def test_letterbox_places_the_picture_as_yolov5_does(source, size, inside, offset):
    tensor, fit = to_tensor(picture(*source), Preprocessing(size))

    top, left = offset
    padding = np.ones(size, bool)
    padding[top : top + inside[0], left : left + inside[1]] = False
    factor = min(size[0] / source[0], size[1] / source[1])
    assert fit == Fit(source, (factor, factor), offset)
    assert tensor.shape == (3, *size)
    assert np.all(tensor[:, padding] == np.float32(114) * np.float32(1 / 255))


@pytest.mark.parametrize(
    ("source", "size", "inside"),
    [
        ((480, 640), (416, 416), (312, 416)),
        ((427, 640), (416, 416), (277, 416)),  # 277.55 rows
        ((640, 427), (416, 416), (416, 277)),
        ((100, 200), (416, 640), (320, 640)),  # enlarged
    ],
)
def test_top_left_places_the_picture_as_yolox_does(source, size, inside):
    image = picture(*source)
    factor = min(size[0] / source[0], size[1] / source[1])

    tensor, fit = to_tensor(image, Preprocessing(size, fit="top-left", colour="bgr", scale=1.0))

    assert fit == Fit(source, (factor, factor), (0, 0))
    resized = cv2.resize(image, inside[::-1], interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    np.testing.assert_array_equal(tensor[:, : inside[0], : inside[1]], resized)
    assert np.all(tensor[:, inside[0] :] == 114)
    assert np.all(tensor[:, :, inside[1] :] == 114)


def test_pixels_that_need_no_resize_are_kept_as_rgb_between_0_and_1():
    image = picture(480, 640)

    tensor, _ = to_tensor(image, Preprocessing((640, 640)))

    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert np.allclose(tensor[:, 80:560], image[..., ::-1].transpose(2, 0, 1) / 255, atol=1e-7)


def test_resizing_is_bilinear_with_pixel_centres_aligned():
    """A row of 0, 90, 180 doubled: each new pixel lies a quarter of the way between two old ones."""
    image = np.repeat(np.tile(np.array([0, 90, 180], np.uint8), (10, 1))[..., None], 3, axis=2)

    tensor, _ = to_tensor(image, Preprocessing((10, 6), fit="stretch", scale=1.0))

    assert np.allclose(tensor[0, 0], [0, 22.5, 67.5, 112.5, 157.5, 180], atol=1)


def test_stretch_fills_everything_and_maps_both_axes_apart():
    tensor, fit = to_tensor(picture(100, 200), Preprocessing((416, 416), fit="stretch", pad=0))

    assert fit == Fit((100, 200), (4.16, 2.08), (0, 0))
    assert tensor.shape == (3, 416, 416)
    assert np.allclose(fit.to_source(np.array([[0, 0, 416, 208]])), [[0, 0, 200, 50]])


def test_bgr_mean_and_std_are_applied_in_the_models_order():
    image = np.full((32, 32, 3), (10, 20, 30), np.uint8)
    how = Preprocessing((32, 32), colour="bgr", scale=1.0, mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0))

    tensor, _ = to_tensor(image, how)

    assert tensor[:, 0, 0].tolist() == [4.5, 4.5, 3.375]


def test_a_grey_model_gets_one_channel_of_luma():
    image = np.full((32, 32, 3), (0, 0, 255), np.uint8)

    tensor, _ = to_tensor(image, Preprocessing((32, 32), colour="grey", mean=(0.1, 0, 0), std=(0.5, 1, 1)))

    assert tensor.shape == (1, 32, 32)
    assert tensor[0, 0, 0] == pytest.approx((76 / 255 - 0.1) / 0.5, abs=1e-6)


@pytest.mark.parametrize(("dtype", "scale", "white"), [("float16", 1 / 255, 1.0), ("uint8", 1.0, 255)])
def test_other_input_types_get_their_own_dtype(dtype, scale, white):
    tensor, _ = to_tensor(np.full((32, 32, 3), 255, np.uint8), Preprocessing((32, 32), dtype=dtype, scale=scale))

    assert tensor.dtype == dtype
    assert tensor.max() == tensor.min() == white


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.sampled_from(FITS), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_boxes_come_back_to_a_hundredth_of_a_pixel(height, width, how, fractions):
    _, fit = to_tensor(picture(height, width), Preprocessing((320, 416), fit=how))
    box = np.array(fractions) * (width, height, width, height)
    (down, across), (top, left) = fit.scale, fit.offset

    inside = box * (across, down, across, down) + (left, top, left, top)

    assert np.allclose(fit.to_source(inside[None]), box[None], atol=0.01)


def test_boxes_in_the_padding_are_clipped_to_the_picture():
    _, fit = to_tensor(picture(480, 640), Preprocessing((640, 640)))

    assert fit.to_source(np.array([[-5, 0, 700, 640]])).tolist() == [[0, 0, 640, 480]]
    assert fit.to_source(np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("size", [(640, 640), (32, 32)])
def test_long_thin_pictures_keep_at_least_one_row(size):
    tensor, _ = to_tensor(picture(10, 500), Preprocessing(size, pad=0))

    rows = np.flatnonzero(tensor.any(axis=(0, 2)))
    assert len(rows) == max(1, round(10 * size[1] / 500))
