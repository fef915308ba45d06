from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.engines.profiles import default, load, ready, resolve
from polyyolo.errors import InputError, ProfileError
from polyyolo.records import Head, HeadKind, Profile, ShapeRange, TensorSpec

OPEN = ("batch", 3, "height", "width")


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    return write


def range_of(low, mid, high):
    return f"min = {list(low)}\nopt = {list(mid)}\nmax = {list(high)}\n"


def test_a_ready_profile_becomes_shapes_of_the_models_own_image_input(yolo):
    profile = load("batch-1-16", yolo(OPEN))

    assert profile == Profile(
        "batch-1-16", ({"images": ShapeRange((1, 3, 640, 640), (8, 3, 640, 640), (16, 3, 640, 640))},)
    )


def test_a_file_may_hold_several_optimisation_profiles_and_inputs(yolo, toml):
    small, large = (1, 3, 320, 320), (1, 3, 640, 640)
    text = "".join(
        f"[[profile]]\n[profile.images]\n{range_of(shape, shape, shape)}[profile.threshold]\n{range_of([1], [1], [1])}"
        for shape in (small, large)
    )
    model = yolo(OPEN, more=(TensorSpec("threshold", "float32", ("n",)),))

    profile = load(toml(text), model)

    one = ShapeRange((1,), (1,), (1,))
    assert profile.name == "mine"
    assert profile.optimizations == (
        {"images": ShapeRange(small, small, small), "threshold": one},
        {"images": ShapeRange(large, large, large), "threshold": one},
    )


def test_an_input_of_fixed_shape_need_not_be_named(yolo):
    model = yolo(OPEN, more=(TensorSpec("scale", "float32", (1, 2)),))

    profile = load("static-640", model)

    assert profile.optimizations[0]["scale"] == ShapeRange((1, 2), (1, 2), (1, 2))


def test_a_misspelt_name_is_answered_with_the_nearest_and_the_whole_list():
    with pytest.raises(ProfileError) as error:
        load("bach-1-16")

    assert error.value.message == "there is no profile 'bach-1-16'; did you mean batch-1-16?"
    assert all(name in error.value.fix for name in ready())


def test_all_mistakes_of_file_and_model_are_told_at_once(yolo, toml):
    text = (
        'name = "x"\n'
        f'[[profile]]\n[profile."*"]\n{range_of((1, 3, 321, 640), (8, 3, 640, 640), (4, 3, 640, 650))}'
        f"[profile.image]\n{range_of([1], [1], [1])}"
        "[[profile]]\n[profile.images]\nmni = [1]\nopt = [1, 3.5]\n"
    )
    model = yolo(OPEN, more=(TensorSpec("threshold", "float32", ("n",)),))

    with pytest.raises(ProfileError) as error:
        load(toml(text), model)

    told = error.value.message
    for mistake in (
        "unknown key 'name'",
        "images: axis 0 (batch) goes 1 -> 8 -> 4",
        "axis 2 (height) 321 is no multiple of the stride 32",
        "axis 3 (width) 650 is no multiple of the stride 32",
        "the model has no input 'image'; did you mean 'images'?",
        "threshold has open axes (n) and no shape here",
        "number 1, images has an unknown key 'mni'; did you mean min?",
        "number 1, images, min is missing",
        "number 1, images, opt is [1, 3.5]",
        "number 1, images, max is missing",
        "number 1, images has open axes (batchx3xheightxwidth) and no shape here",
        "number 1, threshold has open axes (n) and no shape here",
    ):
        assert mistake in told
    assert told.startswith("12 mistakes in profile mine")


@pytest.mark.parametrize(
    ("shapes", "mistake"),
    [
        (((1, 3, 640),) * 3, "images has 4 axes in the model (batchx3xheightxwidth), 3 here"),
        (((1, 3, 640, 640), (1, 3, 640), (1, 3, 640, 640)), "images: min, opt and max have 4, 3 and 4 axes"),
        (((1, 1, 640, 640),) * 3, "images: axis 1 (channels) is fixed at 3 in the model, 1 here"),
        (((0, 3, 640, 640), (1, 3, 640, 640), (1, 3, 640, 640)), "images: axis 0 (batch) goes 0 -> 1 -> 1"),
    ],
)
def test_one_mistake_is_told_in_one_line(yolo, toml, shapes, mistake):
    with pytest.raises(ProfileError) as error:
        load(toml(f'[[profile]]\n[profile."*"]\n{range_of(*shapes)}'), yolo(OPEN))

    assert error.value.message == f"profile mine: {mistake}"


def test_a_profile_for_another_size_of_a_fixed_model_names_each_axis(yolo):
    with pytest.raises(ProfileError) as error:
        load("batch-1-16", yolo((1, 3, 416, 416)))

    assert "axis 0 (batch) is fixed at 1 in the model, 1 -> 8 -> 16 here" in error.value.message
    assert "axis 2 (height) is fixed at 416 in the model, 640 here" in error.value.message
    assert error.value.fix == (
        "write the model's numbers there, or leave --profile out; polyyolo surgeon shape opens batch and size"
    )


def test_the_star_and_the_image_input_together_are_one_too_many(yolo, toml):
    one = range_of(*((1, 3, 640, 640),) * 3)

    with pytest.raises(ProfileError, match='both "\\*" and images are given'):
        load(toml(f'[[profile]]\n[profile."*"]\n{one}[profile.images]\n{one}'), yolo(OPEN))


@pytest.mark.parametrize("text", ["", "profile = 3", "profile = []", "[profile]\nmin = [1]", "[[profile]]"])
def test_a_file_without_shapes_is_refused(toml, text):
    with pytest.raises(ProfileError, match=r"has no \[\[profile\]\] table|is empty"):
        load(toml(text))


def test_a_file_that_is_no_toml_is_refused_with_its_line(toml):
    with pytest.raises(InputError, match="line 2"):
        load(toml("[[profile]]\nmin = = 1\nopt = 2"))


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        load("nowhere.toml")


def test_a_model_that_is_no_yolo_may_have_any_size(yolo, toml):
    odd = (1, 3, 100, 101)
    model = yolo(OPEN, head=Head(HeadKind.NONE))

    assert load(toml(f'[[profile]]\n[profile."*"]\n{range_of(odd, odd, odd)}'), model).optimizations[0][
        "images"
    ] == ShapeRange(odd, odd, odd)


def test_an_open_channel_axis_must_not_vary(yolo, toml):
    text = f'[[profile]]\n[profile."*"]\n{range_of((1, 1, 640, 640), (1, 3, 640, 640), (1, 4, 640, 640))}'

    with pytest.raises(ProfileError, match="channels goes 1 -> 4"):
        load(toml(text), yolo(("n", "c", "h", "w")))


@pytest.mark.parametrize(
    ("dims", "metadata", "shape"),
    [
        ((1, 3, 416, 416), {}, (1, 3, 416, 416)),
        (OPEN, {"imgsz": "[384, 1280]"}, (1, 3, 384, 1280)),
        (OPEN, {"imgsz": "320"}, (1, 3, 320, 320)),
        (OPEN, {}, (1, 3, 640, 640)),
        ((4, 3, "h", "w"), {}, (4, 3, 640, 640)),
    ],
)
def test_without_a_profile_a_model_gets_its_own_size_and_one_picture(yolo, dims, metadata, shape):
    profile = default(yolo(dims, metadata=metadata))

    assert profile.optimizations == ({"images": ShapeRange(shape, shape, shape)},)
    assert profile.name == "default-" + "x".join(map(str, shape))


def test_the_shape_of_another_open_input_is_not_guessed(yolo):
    with pytest.raises(ProfileError, match="threshold has open axes"):
        default(yolo(OPEN, more=(TensorSpec("threshold", "float32", ("n",)),)))


@given(
    batch=st.lists(st.integers(1, 64), min_size=3, max_size=3).map(sorted),
    cells=st.lists(st.integers(1, 60), min_size=3, max_size=3).map(sorted),
)
def test_every_ordered_profile_of_whole_strides_fits_and_resolves_to_itself(batch, cells):
    from polyyolo.records import ModelSpec

    head = Head(HeadKind.V5, 80, ("o",), (8, 16, 32))
    images = TensorSpec("images", "float32", OPEN)
    spec = ModelSpec(Path("m.onnx"), "0" * 64, 17, (images,), (), "images", head)
    shapes = [(n, 3, 32 * size, 32 * size) for n, size in zip(batch, cells, strict=True)]

    profile = resolve(Profile("p", ({"*": ShapeRange(*shapes)},)), spec)

    assert profile.optimizations[0]["images"] == ShapeRange(*shapes)
    assert resolve(profile, spec) == profile
