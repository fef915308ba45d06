"""Each model gets the preprocessing that it was trained with, and a user may change it, but not break it."""

from pathlib import Path

import pytest

from polyyolo.errors import PictureError
from polyyolo.images.overrides import from_text
from polyyolo.images.presets import for_input, preprocessing_for
from polyyolo.models.yolox import YOLOX
from polyyolo.records import Head, HeadKind, ModelSpec, Preprocessing, TensorSpec

STATIC = TensorSpec("images", "float32", (1, 3, 640, 640))
DYNAMIC = TensorSpec("images", "float32", ("batch", 3, "height", "width"))


def spec(tensor: TensorSpec, kind: HeadKind = HeadKind.V8) -> ModelSpec:
    head = Head(kind, classes=80, strides=(8, 16, 32))
    return ModelSpec(Path("m.onnx"), "0" * 64, 17, (tensor,), (), tensor.name, head)


@pytest.mark.parametrize("kind", [kind for kind in HeadKind if kind not in YOLOX])
def test_every_other_family_is_letterboxed_with_114_as_rgb_between_0_and_1(kind):
    chosen = preprocessing_for(spec(STATIC, kind), (640, 640))

    assert chosen == Preprocessing((640, 640), "letterbox", 114, "rgb", 1 / 255)


@pytest.mark.parametrize("kind", YOLOX)
def test_yolox_gets_bgr_pixels_as_they_are_in_the_top_left_corner_and_the_user_still_wins(kind):
    chosen = preprocessing_for(spec(STATIC, kind), (640, 640))
    changed = preprocessing_for(spec(STATIC, kind), (640, 640), colour="rgb", scale=1 / 255)

    assert chosen == Preprocessing((640, 640), "top-left", 114, "bgr", 1.0)
    assert changed == Preprocessing((640, 640), "top-left", 114, "rgb", 1 / 255)


def test_a_yolox_for_grey_pictures_gets_grey():
    tensor = TensorSpec("images", "float32", (1, 1, 640, 640))

    assert preprocessing_for(spec(tensor, HeadKind.YOLOX_RAW), (640, 640)).colour == "grey"


def test_what_the_user_gives_wins_over_the_preset_and_none_keeps_it():
    chosen = preprocessing_for(
        spec(DYNAMIC), (384, 1280), fit="stretch", pad=None, colour="bgr", scale=1.0, mean=(104, 117, 123), std=(2,)
    )

    assert chosen == Preprocessing((384, 1280), "stretch", 114, "bgr", 1.0, (104.0, 117.0, 123.0), (2.0, 2.0, 2.0))


def test_a_grey_model_gets_grey_and_a_half_precision_one_float16():
    chosen = for_input(TensorSpec("x", "float16", (1, 1, 320, 320)), (320, 320))

    assert (chosen.colour, chosen.dtype) == ("grey", "float16")


def test_a_uint8_model_gets_pixels_as_they_are():
    tensor = TensorSpec("x", "uint8", (1, 3, 320, 320))

    assert for_input(tensor, (320, 320)) == Preprocessing((320, 320), scale=1.0, dtype="uint8")
    with pytest.raises(PictureError, match="takes uint8 pixels as they are, so that scale is 1"):
        for_input(tensor, (320, 320), scale=1 / 255)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(PictureError) as error:
        preprocessing_for(
            spec(STATIC), (640, 320), fit="crop", pad=256, colour="gbr", scale=0, mean=(1, 2), std=(1, 0, 1), gamma=2
        )

    assert error.value.message == (
        "input 'images' cannot be fed so: width 320 was asked for, but it takes 640; there is no option 'gamma'; "
        "fit is 'crop', not one of letterbox, top-left, stretch; pad is 256, not a whole number from 0 to 255; "
        "colour is 'gbr', not one of rgb, bgr, grey; scale is 0, not a number above 0; "
        "mean is (1, 2), not one or three numbers; std is (1, 0, 1), not one or three numbers above 0"
    )


def test_a_size_that_the_stride_does_not_divide_is_refused_with_the_next_that_it_does():
    with pytest.raises(PictureError) as error:
        preprocessing_for(spec(DYNAMIC), (640, 650))

    assert error.value.message == "width 650 is no multiple of the model's stride 32 (try 640)"


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (TensorSpec("x", "float32", (1, 640, 640, 3)), r"its shape is \(1, 640, 640, 3\), not \(N, 3 or 1, H, W\)"),
        (TensorSpec("x", "float32", (1, 100)), r"its shape is \(1, 100\)"),
        (TensorSpec("x", "int64", (1, 3, 640, 640)), "its type is int64, not one of float32, float16, uint8"),
    ],
)
def test_inputs_that_take_no_pictures_are_refused(tensor, reason):
    with pytest.raises(PictureError, match=reason):
        for_input(tensor, (640, 640))


def test_a_colour_model_cannot_be_fed_grey():
    with pytest.raises(PictureError, match=r"it has 3 channel\(s\), which colour 'grey' does not give"):
        for_input(STATIC, (640, 640), colour="grey")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("scale", "1/255", 1 / 255),
        ("scale", "0.00392", 0.00392),
        ("scale", " 1 / 127.5", 1 / 127.5),
        ("mean", "0.485, 0.456,0.406", (0.485, 0.456, 0.406)),
        ("std", "2", (2.0,)),
        ("pad", "0", 0),
        ("fit", "stretch", "stretch"),
    ],
)
def test_options_are_read_from_text(name, text, value):
    assert from_text(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scale", "1/0"),
        ("scale", "nan"),
        ("scale", "-1"),
        ("mean", "1,2"),
        ("std", "1,0,1"),
        ("pad", "1.5"),
        ("fit", ""),
    ],
)
def test_text_that_stands_for_no_value_is_refused_with_what_is_wanted(name, text):
    with pytest.raises(ValueError, match=f"^{name} is '{text}', not "):
        from_text(name, text)
