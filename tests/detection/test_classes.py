"""Classes are chosen by name or by number, and a wrong name is answered with near ones."""

from pathlib import Path

import pytest

from polyyolo.detection.classes import choose_classes
from polyyolo.errors import InputError
from polyyolo.records import Head, HeadKind, ModelSpec, TensorSpec


def model(*names, classes=4, kind=HeadKind.V8):
    image = TensorSpec("images", "float32", (1, 3, 64, 64))
    return ModelSpec(Path("m.onnx"), "0", 17, (image,), (), "images", Head(kind, classes), names)


COCO = ("person", "bicycle", "traffic light", "3")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ((), ()),
        (("bicycle", "person"), (0, 1)),
        (("Traffic Light ", "2"), (2,)),
        (("3",), (3,)),
    ],
)
def test_names_count_in_any_case_and_once(wanted, chosen):
    assert choose_classes(wanted, model(*COCO)) == chosen


def test_a_near_name_in_capitals_is_told_once():
    with pytest.raises(InputError, match=r"no class 'trafic light'; did you mean 'Traffic Light'\?"):
        choose_classes(["trafic light"], model("person", "Traffic Light"))


def test_of_names_that_differ_in_case_alone_the_one_that_is_written_is_meant():
    assert [choose_classes([name], model("A", "a", "B")) for name in ("A", "a", "b")] == [(0,), (1,), (2,)]


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(InputError, match="no class 'bycicle'; did you mean 'bicycle'") as error:
        choose_classes(["person", "bycicle"], model(*COCO))

    assert error.value.fix.startswith("give names to --classes (the model has 4, as person, bicycle, traffic light, 3)")


@pytest.mark.parametrize("wanted", ["4", "-1", "person", "1.5"])
def test_a_model_without_names_takes_numbers(wanted):
    assert choose_classes(["1"], model()) == (1,)
    with pytest.raises(InputError, match=f"no class '{wanted}'") as error:
        choose_classes([wanted], model())

    assert error.value.fix.endswith("(the model has none), or a number from 0 to 3")


def test_an_end_to_end_model_takes_numbers_beyond_its_names():
    """It does not tell how many classes it has."""
    assert choose_classes(["b", "79"], model("a", "b", classes=2, kind=HeadKind.END_TO_END)) == (1, 79)
    assert choose_classes(["0"], model(classes=0, kind=HeadKind.END_TO_END)) == (0,)
    with pytest.raises(InputError, match="no class 'person'"):
        choose_classes(["person"], model(classes=0, kind=HeadKind.END_TO_END))
