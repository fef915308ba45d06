"""What trtexec's users are used to type."""

import pytest

from polyyolo import progress
from polyyolo.engines import spellings
from polyyolo.engines.spellings import Spelt
from polyyolo.errors import InputError, ProfileError
from polyyolo.records import Precision, ShapeRange

INT8, FP16, FP32 = Precision.INT8, Precision.FP16, Precision.FP32
OPEN = ("batch", 3, 640, 640)


class Notes(progress.Silent):
    """Keeps notes."""

    def __init__(self):
        self.told = []

    def noted(self, message):
        self.told.append(message)


@pytest.fixture
def notes():
    kept = Notes()
    with progress.listening(kept):
        yield kept.told


@pytest.mark.parametrize(
    ("spelt", "scaled", "meant", "note"),
    [
        (Spelt(best=True), True, INT8, "--best is taken as --precision int8, with FP16 for the rest"),
        (Spelt(best=True), False, FP16, "--best is taken as --precision fp16: there are no scales for INT8, and"),
        (Spelt(int8=True, fp16=True), True, INT8, "--int8 --fp16 is taken as --precision int8"),
        (Spelt(fp16=True), True, FP16, "--fp16 is taken as --precision fp16"),
        (Spelt(idle=("build_only",)), True, None, "--buildOnly: a build never runs the engine"),
        (Spelt(idle=("explicit_batch",)), True, None, "--explicitBatch: every ONNX has its batch among its axes"),
    ],
)
def test_flags_become_a_precision_with_a_note(notes, spelt, scaled, meant, note):
    assert spellings.precision(spelt, None, scaled=scaled) == meant
    [told] = notes
    assert told.startswith(note)


def test_without_flags_what_was_asked_for_stands(notes):
    assert spellings.precision(Spelt(), FP32, scaled=True) is FP32
    assert notes == []


def test_flags_that_contradict_precision_are_refused():
    with pytest.raises(InputError, match="--int8 means --precision int8, but --precision fp16 was given too"):
        spellings.precision(Spelt(int8=True), FP16, scaled=True)


def test_a_batch_becomes_a_profile_of_a_model_whose_batch_is_open(yolo, notes):
    made = spellings.profile(Spelt(batch=8), yolo(OPEN))

    shape = (8, 3, 640, 640)
    assert made.optimizations == ({"images": ShapeRange(shape, shape, shape)},)
    assert notes == ["--batch=8 is taken as the only batch that images accepts"]


def test_a_batch_that_the_model_has_already_needs_nothing(yolo, notes):
    assert spellings.profile(Spelt(batch=1), yolo()) is None
    assert notes == ["--batch=1: the model is made for it"]


def test_a_batch_that_the_model_does_not_take_is_refused(yolo):
    with pytest.raises(ProfileError, match="takes 1 at a time") as error:
        spellings.profile(Spelt(batch=4), yolo())

    assert error.value.fix.endswith(f"polyyolo surgeon shape {yolo().path} NEW.onnx --batch 4")


def test_shapes_are_read_as_trtexec_reads_them(yolo):
    shapes = {"min": "images:1x3x64x64,'a:b':1", "opt": "images:4x3x64x64,'a:b':2", "max": "images:8x3x64x64,'a:b':3"}

    made = spellings.profile(Spelt(shapes=shapes), yolo(OPEN))

    image = ShapeRange((1, 3, 64, 64), (4, 3, 64, 64), (8, 3, 64, 64))
    assert made.optimizations == ({"images": image, "a:b": ShapeRange((1,), (2,), (3,))},)


def test_the_usual_shapes_alone_stand_for_all_three(yolo):
    made = spellings.profile(Spelt(shapes={"min": None, "opt": "images:4x3x64x64", "max": None}), yolo(OPEN))

    assert made.optimizations[0]["images"] == ShapeRange(*[(4, 3, 64, 64)] * 3)


@pytest.mark.parametrize(
    ("shapes", "batch", "told"),
    [
        ({"min": "images:1x3"}, None, "--optShapes is missing"),
        ({"opt": "images:1x3", "min": "images:1x3"}, None, "one of --minShapes and --maxShapes is missing"),
        ({"opt": "images:1x3", "min": "x:1", "max": "y:1"}, None, "name different inputs"),
        ({"opt": "images"}, None, "--optShapes=images cannot be read"),
        ({"opt": "images:1x-3"}, None, "cannot be read"),
        ({"opt": ""}, None, "--optShapes= cannot be read"),
        ({"opt": "images:1x3,images:2x3"}, None, "names an input twice"),
        ({"opt": "1x3x640x640"}, None, "cannot be read"),
        ({"opt": "images:1x3"}, 4, "--batch and shapes were given"),
        ({"opt": "images:2x3", "min": "images:4x3", "max": "images:8x3"}, None, "min <= opt <= max"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(yolo, shapes, batch, told):
    with pytest.raises(ProfileError, match=told):
        spellings.profile(Spelt(shapes=shapes, batch=batch), yolo(OPEN))


@pytest.mark.parametrize(("bounds", "ordered"), [((8, 4, 8), "4 -> 8 -> 8"), ((0, 0, 0), "1 -> 1 -> 1")])
def test_bounds_that_are_not_in_order_are_told_in_order(bounds, ordered):
    with pytest.raises(ProfileError) as error:
        ShapeRange(*((size,) for size in bounds))

    assert error.value.fix == f"put them in order, as {ordered}"
