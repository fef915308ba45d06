"""A model that divides pixels by 255 itself is fed with levels, and others are not."""

import numpy as np
import onnx
import pytest

from polyyolo.images.presets import preprocessing_for
from polyyolo.models.spec import read_spec

MEAN, STD = [[0.485], [0.456], [0.406]], [[0.229], [0.224], [0.225]]


@pytest.fixture
def beginning_with(tmp_path):
    """A network that begins with ``text``, which reads ``images`` and gives ``x``."""

    def build(text, **constants):
        model = onnx.parser.parse_model(
            f'<ir_version: 8, opset_import: ["" : 17]> m (float[1,3,64,64] images) => (float[1,3,64,64] y) '
            f"{{ {text} y = Conv<kernel_shape = [1, 1]>(x, w) }}"
        )
        arrays = {"w": np.ones((3, 3, 1, 1)), **constants}
        model.graph.initializer.extend(
            onnx.numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in arrays.items()
        )
        onnx.save(model, tmp_path / "m.onnx")
        return read_spec(tmp_path / "m.onnx")

    return build


@pytest.mark.parametrize(
    ("text", "constants", "levels"),
    [
        ("x = Div(images, a)", {"a": 255}, True),
        ("x = Mul(a, images)", {"a": 1 / 255}, True),
        ("x = Mul(images, a)", {"a": [[[[0.0039]]]]}, True),
        ("u = Identity(images) v = Sub(u, a) x = Div(v, b)", {"a": [[[123.7]]], "b": [[[58.4]]]}, True),
        ("u = Div(images, a) v = Sub(u, b) x = Div(v, c)", {"a": 255, "b": [MEAN], "c": [STD]}, True),
        ("v = Sub(images, b) x = Div(v, c)", {"b": [MEAN], "c": [STD]}, False),  # of 0 to 1
        ("v = Mul(images, a) x = Sub(v, b)", {"a": 2, "b": 1}, False),
        ("x = Identity(images)", {}, False),
        ("x = Div(a, images)", {"a": 1}, False),
        ("v = Relu(images) x = Div(v, a)", {"a": 255}, False),
        ("x = Mul(images, a)", {"a": 0}, False),
    ],
)
def test_a_division_before_all_else_means_levels(beginning_with, text, constants, levels):
    spec = beginning_with(text, **constants)

    assert spec.takes_levels is levels
    assert preprocessing_for(spec, (64, 64)).scale == (1.0 if levels else pytest.approx(1 / 255))


def test_constants_may_be_nodes(beginning_with):
    assert beginning_with("a = Constant<value = float[1] {255}>() x = Div(images, a)").takes_levels


def test_what_the_user_says_counts(beginning_with):
    spec = beginning_with("x = Div(images, a)", a=255)

    assert preprocessing_for(spec, (64, 64), scale=0.5).scale == 0.5
