"""INT8 begins before some activation functions behind a convolution, for which TensorRT 8 has a faster kernel then."""

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo.quantization.cache_tensors import ranges
from polyyolo.quantization.graph import imported
from polyyolo.quantization.half import to_half
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.lint.table import CHECKS
from polyyolo.quantization.lint.view import view_of
from polyyolo.quantization.placement import FloatBudget

SQUARE = (8, 8, 1, 1)
LEAKY = "a = Conv(x, w1)  b = LeakyRelu<alpha = {alpha}>(a)  c = Conv(b, w2)  y = Conv(c, w3)"
PICTURE = (1, 3, 16, 16)
DARKNET = {"w1": (8, 3, 3, 3), "w2": SQUARE, "w3": SQUARE}


@pytest.fixture
def leaky(fragment, placed, table):
    """Quantize a fragment that reads a picture of three channels, but for its head and the nodes named."""

    def make(text, *in_float, x=PICTURE, reach=None, outputs="y", **weights):
        model = fragment(text, x=x, outputs=outputs, **(DARKNET | weights))
        placement = placed(model, FloatBudget(names=in_float))
        ranges = dict.fromkeys(placement.observed, 4.0) | ({"a": 4.0} if reach is None else reach)
        return model, insert(model, placement, table(ranges)), placement

    return make


def quantized(model, name):
    """The nodes that quantize a tensor."""
    return [node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == name]


def scales_of(model, name):
    """The scales with which a tensor is quantized."""
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    return [float(constants[node.input[1]]) for node in quantized(model, name)]


def with_another_scale(model, name):
    """Copy a model in which a tensor is quantized in far smaller steps."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    scale = next(each for each in other.graph.initializer if each.name == f"{name}_scale")
    scale.CopyFrom(onnx.numpy_helper.from_array(np.array(0.0005, np.float32), scale.name))
    return other


def rules_broken(model):
    view = view_of(imported(model))
    return [rule.name for rule, check in CHECKS.items() for _ in check(view)]


def test_int8_begins_before_leaky_relu_with_the_scale_behind_it(leaky, value_of):
    _, made, _ = leaky(LEAKY.format(alpha=0.1))
    exact, after = (value_of(name, made, PICTURE) for name in ("a", "b_dequantized"))
    (step,) = scales_of(made, "b")
    expected = np.where(exact > 0, exact, 0.1 * exact)
    inside, above, below = (exact > -128 * step) & (exact < 127 * step), exact >= 127 * step, exact < -128 * step

    assert scales_of(made, "a") == [step]
    assert min(inside.sum(), above.sum(), below.sum()) > 100
    assert np.abs(after - expected)[inside].max() <= 0.55 * step + 1e-6
    assert np.all(after[above] == np.float32(127 * step))
    assert np.allclose(after[below], -13 * step)


@pytest.mark.parametrize(
    ("text", "in_float", "changed"),
    [
        (LEAKY.format(alpha=0.2), (), {}),
        (LEAKY.format(alpha=-5.0), (), {}),
        (LEAKY.format(alpha=0.1).replace("LeakyRelu<alpha = 0.1>", "Relu"), (), {}),
        (LEAKY.format(alpha=0.1).replace("y = Conv(c, w3)", "d = Conv(c, w3)  y = Add(d, a)"), (), {}),
        (LEAKY.format(alpha=0.1), ("a",), {}),
        (LEAKY.format(alpha=0.1), ("c",), {}),
        (LEAKY.format(alpha=0.1).replace("y = Conv(c, w3)", "d = Conv(b, w3)  y = Add(c, d)"), ("d",), {}),
        (LEAKY.format(alpha=0.1), (), {"outputs": "y, a"}),
        (LEAKY.format(alpha=0.1), (), {"outputs": "y, b"}),
        (LEAKY.format(alpha=0.1), (), {"w1": (8, 3, 6, 6)}),
        (LEAKY.format(alpha=0.1), (), {"w1": (8, 64, 3, 3), "x": (1, 64, 16, 16)}),
        (LEAKY.format(alpha=0.1), (), {"w1": (8, 1151, 1, 1), "x": (1, 1151, 4, 4)}),
        ("a = Add(x, x)  b = LeakyRelu<alpha = 0.1>(a)  c = Conv(b, w2)  y = Conv(c, w3)", (), {"x": (1, 8, 16, 16)}),
        (LEAKY.format(alpha=0.1).replace("Conv(x", "Conv<group = 2>(x"), (), {"w1": (8, 2, 3, 3), "x": (1, 4, 16, 16)}),
    ],
)
def test_elsewhere_and_before_other_functions_it_does_not(leaky, text, in_float, changed):
    _, made, _ = leaky(text, *in_float, **changed)

    assert scales_of(made, "a") == []


@pytest.mark.parametrize(("reach", "steps"), [({"a": 8.0}, 1), ({"a": 8.5}, 0), ({}, 0)])
def test_it_does_not_where_negative_numbers_reach_far_or_nobody_knows_how_far(leaky, reach, steps):
    _, made, placement = leaky(LEAKY.format(alpha=0.1), reach=reach)

    assert "a" in placement.measured
    assert len(scales_of(made, "a")) == steps
    assert len(scales_of(made, "b")) == 1


def test_so_it_does_behind_many_channels_with_the_scale_that_a_concat_shares(leaky):
    text = "a = Conv(x, w1)  b = LeakyRelu<alpha = 0.1>(a)  c = Conv<pads = [1, 1, 1, 1]>(b, w2)"
    text += "  d = LeakyRelu<alpha = 0.1>(c)  e = Concat<axis = 1>(b, d)  f = Conv(e, w4)  y = Conv(f, w3)"
    wide = {"w1": (128, 3, 1, 1), "w2": (8, 128, 3, 3), "w4": (8, 136, 1, 1)}
    _, made, _ = leaky(text, reach={"a": 4.0, "c": 3.0}, **wide)

    assert scales_of(made, "a") == scales_of(made, "b") == scales_of(made, "c") == scales_of(made, "d")
    assert len(scales_of(made, "c")) == 1


def test_from_tensorrt_10_on_it_begins_behind_leaky_relu_alone(leaky):
    _, made, _ = leaky(LEAKY.format(alpha=0.1))
    other = with_another_scale(made, "a")

    lowered, kept = to_half(made, "x"), to_half(other, "x")

    assert (len(quantized(made, "a")), quantized(lowered, "a"), len(quantized(lowered, "b"))) == (1, [], 1)
    assert next(node.input[0] for node in lowered.graph.node if node.op_type == "LeakyRelu") == "a"
    assert len(quantized(kept, "a")) == 1


def test_a_cache_has_the_same_scale_there_as_q_dq(fragment, placed, table):
    model = fragment(LEAKY.format(alpha=0.1), x=PICTURE, **DARKNET)
    graph, placement = imported(model), placed(model)

    def told(reach):
        return ranges(table({**dict.fromkeys(placement.observed, 4.0), "a": reach}), graph, placement)

    assert (told(5.0)["a"], told(5.0)["b"]) == (4.0, 4.0)
    assert told(9.0)["a"] == 9.0


def test_lint_has_nothing_against_it_but_against_others(leaky):
    _, made, _ = leaky(LEAKY.format(alpha=0.1))
    other = with_another_scale(made, "a")
    _, apart, _ = leaky(LEAKY.format(alpha=0.1), "a")
    for node in apart.graph.node:
        node.input[:] = ["a_late" if (node.op_type, name) == ("LeakyRelu", "a") else name for name in node.input]
    apart.graph.node.extend(node for node in made.graph.node if node.output[0] in ("a_quantized", "a_dequantized"))
    apart.graph.node[-1].output[0] = "a_late"
    apart.graph.initializer.extend(each for each in made.graph.initializer if each.name in ("a_scale", "a_zero_point"))

    assert rules_broken(made) == []
    assert rules_broken(other) == ["conv-activation"]
    assert rules_broken(apart) == ["conv-activation"]


SILU = "a = Conv<{}>(x, w1)  s = Sigmoid(a)  b = Mul(a, s)  c = Conv<pads = [1, 1, 1, 1]>(b, w2)  y = Conv(c, w3)"
SEVEN = "kernel_shape = [7, 7], pads = [3, 3, 3, 3], strides = [2, 2]"
ON_PICTURE = {"w1": (8, 3, 7, 7), "w2": (8, 8, 3, 3)}


@pytest.fixture
def silu(fragment, placed, table):
    """Quantize a fragment that reads a picture, with a range of what its convolutions read, but for its head."""

    def make(text, reach=30.0, constants=None, **weights):
        model = fragment(text, constants=constants or {}, **({"x": PICTURE} | DARKNET | ON_PICTURE | weights))
        placement = placed(model, FloatBudget())
        return model, insert(model, placement, table(dict.fromkeys(placement.observed, reach)))

    return make


def begins(model):
    """Whether INT8 begins where the tensor ``a`` is."""
    return len(quantized(model, "a")) == 1


def test_int8_begins_before_the_silu_of_a_7_x_7_convolution_of_the_picture(silu, value_of):
    _, made = silu(SILU.format(SEVEN))
    (fine,), (step,) = scales_of(made, "a"), scales_of(made, "b")
    exact = value_of("a", made, PICTURE) + 127 * fine - 6
    after = value_of("b_dequantized", made, PICTURE)
    expected = np.clip(exact, -6, 30) / (1 + np.exp(-np.clip(exact, -6, 30)))

    assert fine == pytest.approx(36 / 2 / 127, rel=2e-3)
    assert step == pytest.approx(30 / 127, rel=2e-3)
    assert min((exact > 30).sum(), (exact < -6).sum(), (np.abs(exact) < 6).sum()) > 50
    assert np.abs(after - expected).max() <= step / 2 + 1.1 * fine / 2 + 0.02
    assert rules_broken(made) == []


def test_a_convolution_that_has_a_bias_keeps_it(silu, value_of):
    bias = {"k": np.linspace(-4, 4, 8, dtype=np.float32)}
    before, made = silu(SILU.format(SEVEN).replace("w1)", "w1, k)"), constants=bias)
    exact, moved = (value_of("a", model, PICTURE) for model in (before, made))

    assert begins(made)
    assert np.ptp(exact - moved) < 0.2 * np.ptp(exact), "the weights are rounded"
    assert (exact - moved).mean() == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize("reach", [7.0, 11.0])
def test_around_zero_it_begins_where_that_is_as_fine(silu, reach):
    _, made = silu(SILU.format(SEVEN), reach)

    assert scales_of(made, "a") == scales_of(made, "b")
    assert [node.op_type for node in made.graph.node if "a_dequantized" in node.input] == ["Sigmoid", "Mul"]
    assert rules_broken(made) == []


def test_it_does_so_where_what_is_behind_is_not_around_zero(silu):
    """As convolutions without padding allow."""
    _, made = silu(SILU.format(SEVEN).replace("<pads = [1, 1, 1, 1]>(b", "(b"), w2=SQUARE)

    assert begins(made)
    assert len(quantized(made, "b_shifted")) == 1
    assert rules_broken(made) == []


@pytest.mark.parametrize(
    ("text", "changed", "reach"),
    [
        (SILU.format(SEVEN), {}, 5.0),
        (SILU.format(SEVEN.replace("7", "3")), {"w1": (8, 3, 3, 3)}, 30.0),
        (SILU.format(SEVEN.replace("7", "5")), {"w1": (8, 3, 5, 5)}, 30.0),
        (SILU.format(SEVEN.replace("strides = [2, 2]", "strides = [3, 3]")), {}, 30.0),
        (SILU.format(SEVEN), {"w1": (8, 5, 7, 7), "x": (1, 5, 16, 16)}, 30.0),
        (SILU.format(SEVEN).replace("Sigmoid", "HardSigmoid"), {}, 30.0),
        (SILU.format(SEVEN).replace("y = Conv(c, w3)", "d = Conv(c, w3)  y = Add(d, a)"), {}, 30.0),
        ("r = Relu(x)  " + SILU.format(SEVEN).replace("(x, w1)", "(r, w1)"), {}, 30.0),
        ("k = Neg(n)  " + SILU.format(SEVEN).replace("w1)", "w1, k)"), {}, 30.0),
    ],
    ids=[
        "a small range",
        "3 x 3",
        "5 x 5",
        "a step of 3",
        "5 channels",
        "another gate",
        "read elsewhere",
        "not of the picture",
        "a bias that is computed",
    ],
)
def test_before_other_silus_it_does_not(silu, text, changed, reach):
    constants = {"n": np.ones(8, np.float32)} if "Neg(n)" in text else {}

    assert not begins(silu(text, reach, constants, **changed)[1])


@pytest.mark.parametrize("reach", [30.0, 11.0])
def test_from_tensorrt_10_on_it_begins_behind_silu_alone(silu, value_of, reach):
    before, made = silu(SILU.format(SEVEN), reach)
    lowered = to_half(made, "x")
    exact, got = value_of("a", before, PICTURE), value_of("b", lowered, PICTURE)

    assert not begins(lowered)
    assert len(quantized(lowered, "b")) == 1
    assert [node.op_type for node in lowered.graph.node if "a" in node.input] == ["Sigmoid", "Mul"]
    assert np.abs(exact / (1 + np.exp(-np.maximum(exact, -50))) - got).max() < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize("outputs", ["y", "y, b"])
def test_lint_warns_of_such_a_convolution_where_int8_begins_behind_silu_alone(silu, fragment, placed, table, outputs):
    model = fragment(SILU.format(SEVEN), outputs=outputs, **({"x": PICTURE} | DARKNET | ON_PICTURE))
    placement = placed(model, FloatBudget())
    made = insert(model, evolve(placement, early=()), table(dict.fromkeys(placement.observed, 30.0)))

    assert "network-input" in rules_broken(made)
    assert "network-input" in rules_broken(silu(SILU.format(SEVEN), 5.0)[1])
    assert "network-input" not in rules_broken(silu(SILU.format(SEVEN))[1])


def of_another_tool(bias="", rest="", outputs="float[1,8,8,8] y"):
    """A model with Q, DQ and an Add of a number between a 7 x 7 convolution of the picture and its SiLU."""
    generator = np.random.default_rng(0)
    values = {
        "w": generator.normal(0, 0.1, (8, 3, 7, 7)).astype(np.float32),
        "v": generator.normal(0, 0.2, (8, 8, 3, 3)).astype(np.float32),
        "k": generator.normal(0, 0.2, 8).astype(np.float32),
        "s": np.float32(0.05),
        "z": np.int8(0),
        "c": np.float32(1.5),
    }
    text = f"""<ir_version: 9, opset_import: ["" : 17]>
    other (float[1,3,16,16] x) => ({outputs}) {{
      xq = QuantizeLinear(x, s, z)  xd = DequantizeLinear(xq, s, z)
      a = Conv<{SEVEN}>(xd, w{bias})  aq = QuantizeLinear(a, s, z)  ad = DequantizeLinear(aq, s, z)  t = Add(ad, c)
      g = Sigmoid(t)  b = Mul(t, g)  bq = QuantizeLinear(b, s, z)  bd = DequantizeLinear(bq, s, z)
      d = Conv<pads = [1, 1, 1, 1]>(bd, v)  y = Conv<pads = [1, 1, 1, 1]>(d, v{bias}) {rest}
    }}"""
    made = onnx.parser.parse_model(text)
    made.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()
    )
    onnx.checker.check_model(made, full_check=True)
    return made


@pytest.mark.parametrize(
    ("bias", "rest", "outputs"),
    [
        ("", "", "float[1,8,8,8] y"),
        (", k", "", "float[1,8,8,8] y"),
        (", k", "", "float[1,8,8,8] y, float[1,8,8,8] a"),
        (", k", "o = Neg(a)", "float[1,8,8,8] y, float[1,8,8,8] o"),
        (", k", "o = Neg(ad)", "float[1,8,8,8] y, float[1,8,8,8] o"),
        (", k", "o = Neg(t)", "float[1,8,8,8] y, float[1,8,8,8] o"),
        (", k", "o = Neg(b)", "float[1,8,8,8] y, float[1,8,8,8] o"),
    ],
    ids=["no bias", "a shared bias", "an output", "read elsewhere", "read behind DQ", "read behind Add", "SiLU read"],
)
def test_a_model_of_another_tool_keeps_its_numbers_in_fp16(value_of, bias, rest, outputs):
    made = of_another_tool(bias, rest, outputs)
    lowered = to_half(made, "x")

    onnx.checker.check_model(lowered, full_check=True)
    for name in (each.name for each in made.graph.output):
        before, after = (value_of(name, model, PICTURE) for model in (made, lowered))
        assert np.abs(before - after).max() < 0.1 * np.abs(before).max()


def test_from_tensorrt_10_on_it_begins_behind_silu_where_that_is_not_around_zero(silu):
    _, made = silu(SILU.format(SEVEN).replace("<pads = [1, 1, 1, 1]>(b", "(b"), w2=SQUARE)
    lowered = to_half(made, "x")

    assert begins(made)
    assert not begins(lowered)
    assert len(quantized(lowered, "b_shifted")) == 1
