"""SiLU behind a convolution is written so that TensorRT 8 has a fast kernel for both."""

from collections import Counter

import numpy as np
import pytest
from attrs import evolve

from polyyolo.quantization.gates import by_tanh
from polyyolo.quantization.half import to_half
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.placement import FloatBudget

SQUARE = (8, 8, 1, 1)
CHAIN = (
    "a = Conv(x, w1)  g = Sigmoid(a)  b = Mul(a, g)  c = Conv(b, w2)  h = Sigmoid(c)  d = Mul(c, h)  y = Conv(d, w3)"
)
WEIGHTS = {"w1": SQUARE, "w2": SQUARE, "w3": SQUARE}
TANH = ["Mul", "Tanh", "Mul", "Add", "Mul"]
SIGMOID = ["Sigmoid", "Mul"]


@pytest.fixture
def quantized(fragment, placed, table):
    """Quantize a fragment but for its head and the nodes named."""

    def make(text, *in_float, shift=False, **options):
        model = fragment(text, **{**WEIGHTS, **options})
        placement = placed(model, FloatBudget(names=in_float))
        placement = placement if shift else evolve(placement, lowest={})
        return insert(model, placement, table(dict.fromkeys(placement.measured, 4.0)))

    return make


def gates(model):
    """What is computed beside convolutions, Q/DQ and shifts before Q, in order."""
    others = ("Conv", "QuantizeLinear", "DequantizeLinear")
    return [
        node.op_type for node in model.graph.node if node.op_type not in others and not node.name.endswith("_shift")
    ]


@pytest.mark.parametrize(
    ("in_float", "first"),
    [((), SIGMOID), (("a",), TANH), (("c",), TANH), (("a", "c"), TANH)],
    ids=["all in INT8", "the picture's convolution in float", "its reader in float", "both in float"],
)
@pytest.mark.parametrize("shift", [True, False], ids=["shifted", "around zero"])
def test_by_tanh_where_float_reads_it_or_a_float_convolution_reads_the_picture(quantized, in_float, first, shift):
    made = by_tanh(quantized(CHAIN, *in_float, shift=shift))

    assert gates(made) == first + TANH, "the head reads the second in float"


@pytest.mark.parametrize("in_float", [(), ("a",), ("c",)])
def test_it_gives_the_same(quantized, value_of, in_float):
    plain = quantized(CHAIN, *in_float)
    expected, got = (value_of("d", each) for each in (plain, by_tanh(plain)))

    assert np.abs(got - expected).max() < 1e-5 < np.abs(expected).max()


@pytest.mark.parametrize("outputs", ["y, b", "y"])
def test_what_comes_out_of_the_model_or_goes_to_float_as_well_is_written_by_tanh(quantized, outputs):
    text = CHAIN if outputs == "y, b" else CHAIN.replace("y = Conv(d, w3)", "e = Mul(b, d)  y = Conv(e, w3)")

    made = by_tanh(quantized(text, outputs=outputs))

    assert [op for op in gates(made) if op in ("Sigmoid", "Tanh")] == ["Tanh", "Tanh"]


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
    text = f"a = Conv(x, w1)  {silu}  y = Conv(b, w2)"

    assert gates(by_tanh(quantized(text, "a"))) == ops


def test_a_gate_that_something_else_reads_stays_for_that(quantized, value_of):
    plain = quantized(
        "a = Conv(x, w1)  g = Sigmoid(a)  b = Mul(a, g)  c = Conv(b, w2)  d = Add(c, g)  y = Conv(d, w3)", "a"
    )
    made = by_tanh(plain)

    assert sorted(gates(made)) == sorted([*TANH, "Sigmoid", "Add"])
    assert np.array_equal(value_of("g", made), value_of("g", plain))


def test_a_silu_without_a_convolution_before_it_stays(quantized):
    made = by_tanh(quantized("p = MaxPool<kernel_shape = [1, 1]>(x)  g = Sigmoid(p)  b = Mul(p, g)  y = Conv(b, w1)"))

    assert gates(made) == ["MaxPool", *SIGMOID]


def test_cast_to_fp16_for_tensorrt_10_it_is_a_sigmoid_again(quantized):
    plain = quantized(CHAIN, "a")
    expected, got = (to_half(each, "x") for each in (plain, by_tanh(plain)))

    count = [Counter(node.op_type for node in each.graph.node) for each in (expected, got)]
    assert count[0] == count[1]
    assert count[0]["Sigmoid"] == 2
