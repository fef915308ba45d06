"""What follows a convolution of the picture is written so that TensorRT has a fast kernel for that convolution."""

import numpy as np
import onnx
import pytest

from polyyolo.models.runtime import open_session
from polyyolo.passes.trial import with_outputs
from polyyolo.quantization.graph import imported
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.lint.table import CHECKS
from polyyolo.quantization.lint.view import view_of
from polyyolo.quantization.placement import FloatBudget

SQUARE = (8, 8, 1, 1)
CHAIN = (
    "a = Conv(x, w1)  g = Sigmoid(a)  b = Mul(a, g)  c = Conv(b, w2)  h = Sigmoid(c)  d = Mul(c, h)  y = Conv(d, w3)"
)
WEIGHTS = {"w1": SQUARE, "w2": SQUARE, "w3": SQUARE}


@pytest.fixture
def quantized(fragment, placed, table):
    """Quantize a fragment but for its head and the nodes named."""

    def make(text, *in_float, **weights):
        model = fragment(text, **(weights or WEIGHTS))
        placement = placed(model, FloatBudget(stem=0, names=in_float))
        return model, insert(model, placement, table(dict.fromkeys(placement.measured, 4.0)))

    return make


def value_of(tensor, model):
    """Give what a tensor holds for a seeded picture."""
    picture = np.random.default_rng(0).normal(0, 3, (1, 8, 16, 16)).astype(np.float32)
    return open_session(with_outputs(model, [tensor]).SerializeToString()).run([tensor], {"x": picture})[0]


def gates(model):
    """What is computed beside convolutions and Q/DQ, in order."""
    return [
        node.op_type for node in model.graph.node if node.op_type not in ("Conv", "QuantizeLinear", "DequantizeLinear")
    ]


APART = ["Mul", "Tanh", "Mul", "Add", "Mul"]
FUSED = ["Sigmoid", "Mul"]


def test_behind_the_picture_it_is_written_with_tanh_and_gives_the_same(quantized):
    model, made = quantized(CHAIN, "a")
    expected, got = (value_of("b", each) for each in (model, made))

    assert gates(made) == APART + FUSED
    assert np.abs(got - expected).max() < 1e-5 < np.abs(expected).max()


@pytest.mark.parametrize("in_float", [(), ("c",), ("a", "c")])
def test_it_stays_where_the_convolution_is_in_int8_or_its_reader_in_float(quantized, in_float):
    _, made = quantized(CHAIN, *in_float)

    assert gates(made) == FUSED + FUSED


@pytest.mark.parametrize(
    ("silu", "ops"),
    [
        ("b = LeakyRelu(a)", ["LeakyRelu"]),
        ("t = Tanh(a)  b = Mul(a, t)", ["Tanh", "Mul"]),
        ("s = Softplus(a)  t = Tanh(s)  b = Mul(a, t)", ["Softplus", "Tanh", "Mul"]),
        ("s = Sigmoid(a)  t = Tanh(s)  b = Mul(a, t)", ["Sigmoid", "Tanh", "Mul"]),
        ("b = Identity(a)", ["Identity"]),
    ],
)
def test_other_functions_stay(quantized, silu, ops):
    _, made = quantized(f"a = Conv(x, w1)  {silu}  y = Conv(b, w2)", "a", w1=SQUARE, w2=SQUARE)

    assert gates(made) == ops


def test_a_gate_that_something_else_reads_stays_for_that(quantized):
    model, made = quantized(
        "a = Conv(x, w1)  g = Sigmoid(a)  b = Mul(a, g)  c = Conv(b, w2)  d = Add(c, g)  y = Conv(d, w3)", "a"
    )
    expected, got = (value_of("g", each) for each in (model, made))

    assert sorted(gates(made)) == sorted([*APART, "Sigmoid", "Add"])
    assert np.array_equal(got, expected)


LEAKY = "a = Conv(x, w1)  b = LeakyRelu<alpha = {alpha}>(a)  c = Conv(b, w2)  y = Conv(c, w3)"


def scales_of(model, name):
    """The scales with which a tensor is quantized."""
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    readers = [node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == name]
    return [float(constants[node.input[1]]) for node in readers]


def test_behind_the_picture_int8_begins_before_leaky_relu_with_the_same_scale(quantized):
    model, made = quantized(LEAKY.format(alpha=0.1))
    before, after = value_of("a", model), value_of("b_dequantized", made)
    (step,) = scales_of(made, "b")

    assert scales_of(made, "a") == [step]
    assert np.abs(before).max() > 128 * step  # something is clipped
    # rounded before, and again behind: within a step where nothing is clipped, but for what the picture's own Q does
    exact = value_of("a", made)
    expected = np.where(exact > 0, exact, 0.1 * exact)
    inside = (exact > -128 * step) & (exact < 127 * step)
    assert np.abs(after - expected)[inside].max() <= 0.55 * step + 1e-6
    assert np.array_equal(after[exact >= 127 * step], np.full((exact >= 127 * step).sum(), np.float32(127 * step)))


@pytest.mark.parametrize(
    ("text", "in_float"),
    [
        (LEAKY.format(alpha=0.2), ()),
        (LEAKY.format(alpha=0.1).replace("LeakyRelu<alpha = 0.1>", "Relu"), ()),
        (LEAKY.format(alpha=0.1).replace("y = Conv(c, w3)", "d = Conv(c, w3)  y = Add(d, a)"), ()),
        (LEAKY.format(alpha=0.1), ("a",)),
        (LEAKY.format(alpha=0.1), ("c",)),
    ],
)
def test_elsewhere_and_before_other_functions_it_does_not(quantized, text, in_float):
    _, made = quantized(text, *in_float)

    assert scales_of(made, "a") == []


@pytest.mark.parametrize(("reach", "steps"), [({"a": 8.0}, 1), ({"a": 8.5}, 0), ({}, 0)])
def test_it_does_not_where_negative_numbers_reach_far_or_nobody_knows_how_far(fragment, placed, table, reach, steps):
    model = fragment(LEAKY.format(alpha=0.1), **WEIGHTS)
    placement = placed(model)

    made = insert(model, placement, table({**dict.fromkeys(placement.observed, 4.0), **reach}))

    assert "a" in placement.measured
    assert len(scales_of(made, "a")) == steps
    assert len(scales_of(made, "b")) == 1


def test_a_convolution_further_on_writes_what_leaky_relu_makes(quantized):
    _, made = quantized("a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  d = LeakyRelu<alpha = 0.1>(c)  y = Conv(d, w3)")

    assert scales_of(made, "c") == []
    assert len(scales_of(made, "d")) == 0  # only the head reads it


def test_lint_has_nothing_against_it(quantized):
    _, made = quantized(LEAKY.format(alpha=0.1))
    view = view_of(imported(made))

    assert [rule.name for rule, check in CHECKS.items() for _ in check(view)] == []
