"""The files in profiles/, as they are installed with the package."""

import importlib.resources

import pytest

from polyyolo.engines.profiles import load, ready, resolve
from polyyolo.records import ShapeRange


def test_the_ready_profiles_are_those_of_the_documentation():
    assert ready() == ("batch-1-16", "multi-scale-320-1280", "static-640", "wide-384x1280")


def test_they_are_reached_as_package_data():
    folder = importlib.resources.files("polyyolo.ready_profiles")

    assert folder.joinpath("static-640.toml").read_text().count("[[profile]]") == 1


def test_wide_pictures_come_in_batches_of_1_12_and_26():
    (inputs,) = load("wide-384x1280").optimizations

    assert inputs == {"*": ShapeRange((1, 3, 384, 1280), (12, 3, 384, 1280), (26, 3, 384, 1280))}


@pytest.mark.parametrize("name", ready())
@pytest.mark.parametrize("model", ["yolov5s-dyn", "yolov8n-dyn"])
def test_each_fits_a_real_model_with_open_axes(models, name, model):
    from polyyolo.models.spec import read_spec

    spec = read_spec(models / f"{model}.onnx")

    assert set(resolve(load(name), spec).optimizations[0]) == {"images"}
