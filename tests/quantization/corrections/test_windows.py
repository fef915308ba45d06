"""Patches hold what a convolution reads: multiplied with its weights they give its output."""

import numpy as np
import pytest

from polyyolo.models.runtime import open_session
from polyyolo.quantization.corrections.windows import window_of
from polyyolo.quantization.graph import imported

SQUARE = (8, 8, 1, 1)


def first(model):
    return imported(model).nodes[0]


@pytest.mark.parametrize(
    ("attributes", "kernel"),
    [
        ("", (1, 1)),
        ("strides = [2, 2]", (1, 1)),
        ("pads = [1, 1, 1, 1]", (3, 3)),
        ("pads = [0, 1, 2, 3], strides = [2, 3]", (3, 2)),
        ("dilations = [2, 3], pads = [2, 3, 2, 3]", (3, 3)),
        ('auto_pad = "VALID", strides = [2, 1]', (5, 4)),
    ],
    ids=["pointwise", "stride", "padded", "odd", "dilated", "valid"],
)
def test_patches_times_weights_are_the_output(fragment, attributes, kernel):
    options = f"<{attributes}>" if attributes else ""
    model = fragment(f"y = Conv{options}(x, w1)", w1=(5, 8, *kernel))
    values = np.random.default_rng(1).normal(0, 1, (1, 8, 16, 16)).astype(np.float32)
    (expected,) = open_session(model.SerializeToString()).run(None, {"x": values})
    window = window_of(first(model))

    places = np.arange(expected[0, 0].size)
    rows = first(model).inputs[1].values.reshape(5, -1)
    found = window.patches(values[0], places) @ rows.T

    assert window.width == 8 * kernel[0] * kernel[1]
    assert window.shape(16, 16) == expected.shape[2:]
    np.testing.assert_allclose(found, expected[0].reshape(5, -1).T, atol=1e-4)


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("y = Conv<group = 8>(x, w1)", (8, 1, 1, 1)),
        ("y = ConvTranspose(x, w1)", SQUARE),
        ("y = MatMul(x, w1)", (16, 16)),
        ('y = Conv<auto_pad = "SAME_UPPER">(x, w1)', (8, 8, 3, 3)),
    ],
    ids=["depthwise", "transposed", "product", "automatic padding"],
)
def test_what_is_not_read_in_plain_patches_has_no_window(fragment, body, shape):
    assert window_of(first(fragment(body, w1=shape))) is None


def test_a_convolution_over_one_axis_has_no_window(fragment):
    assert window_of(first(fragment("y = Conv(x, w1)", x=(1, 8, 16), w1=(8, 8, 1)))) is None


def test_convolutions_that_read_alike_share_a_window(fragment):
    nodes = imported(fragment("a = Conv(x, w1)  b = Conv(x, w2)  y = Add(a, b)", w1=SQUARE, w2=SQUARE)).nodes

    assert window_of(nodes[0]) == window_of(nodes[1])
