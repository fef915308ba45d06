"""What is measured is what was asked for, and inside what the engine takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.benchmarking.shapes import Point, batch_of, points
from polyyolo.engines.trtexec_shapes import spelled
from polyyolo.errors import InputError
from polyyolo.records import ShapeRange

YOLO = {"images": ShapeRange((1, 3, 320, 320), (4, 3, 640, 640), (8, 3, 640, 640))}
WIDE = {"images": ShapeRange((1, 3, 384, 1280), (12, 3, 384, 1280), (26, 3, 384, 1280))}
TWO = {"images": ShapeRange((1, 3, 64, 64), (1, 3, 64, 64), (8, 3, 64, 64)), "scale:0": ShapeRange((2,), (2,), (2,))}


def test_nothing_asked_is_what_profile_0_is_best_at():
    assert points([YOLO, WIDE]) == (Point({"images": (4, 3, 640, 640)}, 0),)


def test_batches_change_the_first_axis_alone():
    found = points([YOLO], batches=(1, 8))

    assert [point.shapes["images"] for point in found] == [(1, 3, 640, 640), (8, 3, 640, 640)]


def test_a_shape_without_a_name_is_of_the_only_input_and_goes_with_batches():
    found = points([YOLO], batches=(1, 2), asked=("1x3x320x320", "images:1x3x640x320"))

    assert [spelled(point.shapes) for point in found] == [
        "images:1x3x320x320",
        "images:2x3x320x320",
        "images:1x3x640x320",
        "images:2x3x640x320",
    ]


def test_a_shape_of_another_profile_is_measured_with_that():
    assert points([YOLO, WIDE], batches=(12,)) == (Point({"images": (12, 3, 384, 1280)}, 1),)


def test_an_input_that_is_no_batch_keeps_its_shape_and_quotes_its_name():
    [point] = points([TWO], batches=(8,))

    assert spelled(point.shapes) == "images:8x3x64x64,'scale:0':2"
    assert batch_of(point.shapes) == 8


@pytest.mark.parametrize(
    ("profiles", "batches", "asked", "said"),
    [
        (
            [YOLO],
            (16,),
            (),
            "images:16x3x640x640 is outside what the engine takes: images 1..8 x 3 x 320..640 x 320..640",
        ),
        ([YOLO], (), ("1x3x640",), "images:1x3x640 is outside"),
        ([YOLO, WIDE], (99,), (), "; or images 1..26 x 3 x 384 x 1280"),
        ([YOLO], (), ("input:1x3x640x640",), "the engine has no input 'input'"),
        ([YOLO], (), ("images:4x3x640x640,images:1x3x640x640",), "names an input twice"),
        ([TWO], (), ("1x3x64x64",), "does not say which input it is of"),
        ([YOLO], (), ("1x3x640xx640",), "'1x3x640xx640' is no shape"),
        ([YOLO], (), ("",), "'' is no shape"),
        ([YOLO], (), ("images",), "'images' is no shape"),
        ([YOLO], (), ("0x3x640x640",), "images:0x3x640x640 is outside"),
    ],
)
def test_what_the_engine_does_not_take_is_refused_with_its_range(profiles, batches, asked, said):
    with pytest.raises(InputError) as error:
        points(profiles, batches, asked)

    assert said in error.value.message
    assert error.value.fix


@given(st.integers(1, 8), st.sampled_from([320, 416, 640]), st.sampled_from([320, 512, 640]))
def test_what_is_told_is_read_back(batch, height, width):
    shapes = {"images": (batch, 3, height, width)}

    assert points([YOLO], asked=(spelled(shapes),)) == (Point(shapes, 0),)


def test_where_no_input_is_known_the_fix_is_to_name_them():
    with pytest.raises(InputError, match="nothing here tells which inputs the engine has"):
        points([{}], asked=["1x3x64x64"])
