"""INT8 that begins at the lowest value, where a convolution gives back what was taken off before Q."""

import numpy as np
import onnx
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from polyyolo.models.runtime import open_session
from polyyolo.models.spec import read_spec
from polyyolo.quantization.graph import imported
from polyyolo.quantization.grid import LEVELS, grid_of
from polyyolo.quantization.insertion import Weights, insert
from polyyolo.quantization.lint.run import lint
from polyyolo.quantization.lint.view import view_of
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import cast_to_half, placement_of, quantize
from polyyolo.quantization.scales import scales_of

SQUARE = (8, 8, 1, 1)
WIDE = (8, 8, 3, 3)
SILU = "g = Sigmoid(a)  b = Mul(a, g)"
PADDED = "Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>"


def chain(function=SILU, reader="Conv", more=""):
    return f"a = Conv(x, w1)  {function}  c = {reader}(b, w2)  {more}  r = Relu(c)  y = Conv(r, w9)"


@pytest.fixture
def lowest(fragment, placed):
    """Tell which tensors of a fragment may be shifted, and from where."""

    def look(body, *in_float, outputs="y", **weights):
        shapes = {"w1": SQUARE, "w2": SQUARE, "w9": SQUARE} | weights
        opset = 24 if "Swish<" in body else 17
        model = fragment(
            body, outputs=outputs, opset=opset, **{name: shape for name, shape in shapes.items() if name in body}
        )
        return placed(model, FloatBudget(names=in_float)).lowest

    return look


@pytest.mark.parametrize(
    ("function", "below"),
    [
        (SILU, -0.2785),
        ("g = Sigmoid(a)  b = Mul(g, a)", -0.2785),
        ("t = Softplus(a)  g = Tanh(t)  b = Mul(a, g)", -0.3089),
        ("g = HardSigmoid<alpha = 0.16666667>(a)  b = Mul(a, g)", -0.375),
        ("g = HardSigmoid(a)  b = Mul(a, g)", -0.3125),
        ("g = HardSigmoid<alpha = 0.5, beta = 1.0>(a)  b = Mul(a, g)", -0.5),
        ("g = HardSigmoid<beta = 0.0>(a)  b = Mul(a, g)", 0.0),
        ("b = HardSwish(a)", -0.375),
        ("b = Relu(a)", 0.0),
        ("b = Sigmoid(a)", 0.0),
    ],
)
def test_the_functions_lowest_value_is_known_and_none_of_its_values_is_below(lowest, fragment, function, below):
    assert lowest(chain(function))["b"] == pytest.approx(below)
    model = fragment(f"a = Identity(x)  {function.replace('b =', 'y =')}")
    values = np.linspace(-20, 20, 2048, dtype=np.float32).reshape(1, 8, 16, 16)
    (got,) = open_session(model.SerializeToString()).run(None, {"x": values})

    assert below - 1e-6 <= got.min() < below + 0.001


def test_a_steeper_swish_goes_less_below_zero(lowest):
    assert lowest(chain("b = Swish<alpha = 2.0>(a)"))["b"] == pytest.approx(-0.2785 / 2)
    assert "b" not in lowest(chain("b = Swish<alpha = -1.0>(a)"))


@pytest.mark.parametrize(
    "function",
    [
        "b = LeakyRelu(a)",
        "b = Tanh(a)",
        "b = Identity(a)",
        "g = Tanh(a)  b = Mul(a, g)",
        "g = HardSigmoid<beta = -0.5>(a)  b = Mul(a, g)",
        "g = HardSigmoid<alpha = -0.2>(a)  b = Mul(a, g)",
        "b = Mul(a, a)",
    ],
)
def test_what_may_be_far_below_zero_is_not_shifted(lowest, function):
    assert "b" not in lowest(chain(function))


@pytest.mark.parametrize(
    "reader",
    [PADDED, 'Conv<auto_pad = "SAME_UPPER", kernel_shape = [3, 3]>', "ConvTranspose", "MatMul"],
)
def test_what_adds_zeros_or_has_no_bias_reads_no_shifted_values(lowest, reader):
    shape = WIDE if "3, 3" in reader else (16, 16) if reader == "MatMul" else SQUARE

    assert "b" not in lowest(chain(reader=reader), w2=shape)


def test_a_convolution_of_three_by_three_without_padding_reads_shifted_values(lowest):
    body = f"a = Conv(x, w1)  {SILU}  c = Conv(b, w2)  r = Relu(c)  d = {PADDED}(r, w3)  y = Conv(d, w9)"

    assert set(lowest(body, w2=WIDE, w3=WIDE)) == {"b"}


def test_one_reader_that_pads_keeps_it_from_all(lowest):
    assert "b" not in lowest(chain(more=f"d = {PADDED}(b, w3)  e = Relu(d)  f = Conv(e, w4)"), w3=WIDE, w4=SQUARE)


def test_a_reader_in_float_reads_the_values_as_they_are(lowest):
    """The head beside a convolution in INT8."""
    body = chain(more=f"d = {PADDED}(b, w3)  e = Relu(d)")

    assert "b" in lowest(body, "d", w3=WIDE)


@pytest.mark.parametrize(
    "more",
    ["e = Add(b, c)", "e = Concat<axis = 1>(b, c)", "e = MaxPool<kernel_shape = [1, 1]>(b)"],
    ids=lambda x: x[4:10],
)
def test_what_is_added_or_handed_on_in_int8_is_not_shifted(lowest, more):
    wide = (8, 16, 1, 1) if "Concat" in more else SQUARE
    body = f"a = Conv(x, w1)  {SILU}  c = Conv(b, w2)  {more}  f = Conv(e, w3)  y = Conv(f, w9)"

    assert lowest(body, w3=wide) == {}


def levels(model, picture, name):
    """Give the INT8 of a quantized tensor."""
    (quantize,) = [node for node in model.graph.node if node.name.startswith(name) and node.op_type == "QuantizeLinear"]
    shown = onnx.ModelProto.FromString(model.SerializeToString())
    shown.graph.output.append(onnx.helper.make_tensor_value_info(quantize.output[0], onnx.TensorProto.INT8, None))
    return open_session(shown.SerializeToString()).run([quantize.output[0]], {"x": picture})[0]


@pytest.mark.parametrize("biased", [False, True])
def test_the_levels_are_all_used_and_the_convolution_gives_the_same_with_half_the_error(
    fragment, placed, table, biased
):
    reader = "Conv(b, w2, v)" if biased else "Conv(b, w2)"
    body = chain().replace("Conv(b, w2)", reader).replace("r = Relu(c)  y = Conv(r, w9)", "y = Conv(c, w9)")
    model = fragment(body, w1=SQUARE, w2=SQUARE, w9=SQUARE, **({"v": (8,)} if biased else {}))
    picture = np.random.default_rng(1).normal(0, 1, (1, 8, 16, 16)).astype(np.float32)
    watched = onnx.ModelProto.FromString(model.SerializeToString())
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in "bc")
    _, seen, wanted = open_session(watched.SerializeToString()).run(None, {"x": picture})
    placement = placed(model)
    ranges = table({"x": 5.0, "b": float(seen.max()), "c": 50.0})
    around_zero, shifted = (insert(model, each, ranges) for each in (evolve(placement, lowest={}), placement))

    used = [levels(each, picture, "b") for each in (around_zero, shifted)]

    assert -20 < used[0].min() < 0
    assert used[1].min() <= -125
    assert used[1].max() >= 126
    errors = []
    for each in (around_zero, shifted):
        each.graph.output.extend([onnx.ValueInfoProto(name="c")])
        exact = without_pairs_on(each, "x", "w1")
        errors.append(np.square(open_session(exact.SerializeToString()).run(["c"], {"x": picture})[0] - wanted).mean())
    assert errors[1] < 0.35 * errors[0]


def without_pairs_on(model, *names):
    """Let what reads the INT8 of tensors read them in float, and leave the bias that fits the INT8 of weights."""
    made = onnx.ModelProto.FromString(model.SerializeToString())
    for node in made.graph.node:
        for index, name in enumerate(node.input):
            if name in {f"{each}_dequantized" for each in names}:
                node.input[index] = name.removesuffix("_dequantized")
    return made


def test_corrected_weights_and_bias_are_what_the_bias_is_made_up_for(fragment, placed, table):
    model = fragment(chain(), w1=SQUARE, w2=SQUARE, w9=SQUARE)
    given = Weights(np.full(8, 0.5, np.float32), np.ones(SQUARE, np.int8), np.arange(8, dtype=np.float32))

    made = insert(model, placed(model), table(dict.fromkeys("xbr", 4.0)), {"c": given})

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    (reader,) = [node for node in made.graph.node if node.output[0] == "c"]
    middle = -values["b_middle"]
    assert middle == grid_of(4.0, -0.2785).middle
    np.testing.assert_allclose(values[reader.input[2]], np.arange(8) + 8 * 0.5 * middle, rtol=1e-6)


def test_the_bias_is_made_up_for_weights_as_a_clip_leaves_them(fragment, placed, table):
    model = fragment(chain(), w1=SQUARE, w2=SQUARE, w9=SQUARE)
    given = Weights(np.full(8, 2.0**-10, np.float32))

    made = insert(model, placed(model), table(dict.fromkeys("xbr", 4.0)), {"c": given})

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    (reader,) = [node for node in made.graph.node if node.output[0] == "c"]
    weights = next(numpy_helper.to_array(each) for each in model.graph.initializer if each.name == "w2")
    held = np.clip(np.rint(weights * 2.0**10), -128, 127)
    assert held.min() == -128
    np.testing.assert_allclose(
        values[reader.input[2]], held.sum(axis=(1, 2, 3)) * 2.0**-10 * -values["b_middle"], rtol=1e-5
    )


@given(st.floats(0, 70000), st.floats(-60000, 0) | st.sampled_from([0.0, -0.2785]))
def test_a_grid_holds_all_that_lies_between_its_ends_and_fits_fp16(amax, lowest):
    grid = grid_of(amax, lowest)

    assert np.float16(grid.middle) == grid.middle
    step = float(grid.scale)
    for value in (amax, lowest if grid.middle else -amax):
        assert abs((value - grid.middle) / step) < LEVELS + 0.07
    assert step <= 1.001 * max(amax / LEVELS, 6.2e-5)


def test_it_is_around_zero_where_little_is_won():
    assert grid_of(1.0, -0.6).middle == 0
    assert grid_of(1.0, -0.4).middle == pytest.approx(0.3, abs=0.001)
    assert grid_of(1.0).middle == 0
    assert grid_of(0.0, 0.0).middle == 0


WEIGHTS = {"w1": (8, 3, 1, 1), "w2": SQUARE, "w3": SQUARE, "w9": SQUARE}


@pytest.fixture
def whole(fragment, tmp_path):
    """Write a model in which convolutions read what two functions made."""
    body = f"a = Conv(x, w1)  {SILU}  c = Conv(b, w2)  d = Relu(c)  k = Conv(d, w3)  y = Conv(k, w9)"
    onnx.save(fragment(body, x=(1, 3, 16, 16), **WEIGHTS), tmp_path / "whole.onnx")
    return read_spec(tmp_path / "whole.onnx")


def test_a_whole_model_is_nearer_with_it_also_in_fp16(whole, table, tmp_path):
    placement = placement_of(whole, (16, 16), FloatBudget())
    picture = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    watched = onnx.load(whole.path)
    names = [name for name in placement.observed if name != "x"]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    before, *seen = open_session(watched.SerializeToString()).run(None, {"x": picture})
    amax = {"x": 1.0} | {name: float(np.abs(got).max()) for name, got in zip(names, seen, strict=True)}

    def noise(asked, *, half):
        made = quantize(whole, table(amax, whole.sha256), asked, tmp_path / "int8.onnx")
        made = cast_to_half(made, tmp_path / "half.onnx") if half else made
        (after,) = open_session(made.path).run(None, {"x": picture})
        return np.square(after - before).mean()

    assert set(placement.lowest) == set("bd")
    for half in (False, True):
        assert noise(placement, half=half) < 0.9 * noise(evolve(placement, lowest={}), half=half)


def test_ranges_read_from_it_are_those_that_it_was_made_with(whole, table, tmp_path):
    placement = placement_of(whole, (16, 16), FloatBudget())
    ranges = {"x": 1.0, "b": 3.0, "d": 5.0, "k": 2.0}
    made = quantize(whole, table(ranges, whole.sha256), placement, tmp_path / "int8.onnx")

    found = scales_of(made.path, whole)

    assert found.ranges == pytest.approx({"x": 1.0, "b": 3.0, "d": 5.0}, rel=0.002)
    assert not found.by_structure
    assert found.missing == ("k",)


@pytest.mark.parametrize("function", ["b = Sigmoid(a)", "b = Relu(a)", SILU])
def test_a_number_that_the_model_itself_takes_off_is_no_shift_where_ranges_are_read(
    fragment, table, placed, tmp_path, function
):
    body = f"a = Conv(x, w1)  {function}  m = Add(b, half)  c = Conv(m, w2)  y = Conv(c, w9)"
    own = fragment(body, x=(1, 3, 16, 16), constants={"half": np.float32(-0.5)}, **WEIGHTS)
    onnx.save(own, tmp_path / "own.onnx")
    onnx.save(insert(own, placed(own), table({"x": 1.0, "m": 0.5})), tmp_path / "int8.onnx")

    found = scales_of(tmp_path / "int8.onnx", read_spec(tmp_path / "own.onnx"))

    assert found.ranges == pytest.approx({"x": 1.0, "m": 0.5}, rel=0.002)
    assert not found.by_structure


@pytest.mark.parametrize(
    "body", ["c = Add(x, half)", "a = Mul(x, third)  c = Add(a, half)", "a = Conv(x, w1)  c = Add(a, half)"]
)
def test_a_number_added_to_what_no_activation_function_made_is_no_shift(fragment, placed, table, spec, body):
    """As models have it that centre their pictures themselves."""
    numbers = {"half": np.float32(-0.5), "third": np.float32(1 / 3)}
    model = fragment(f"{body}  d = Conv(c, w2)  y = Conv(d, w9)", constants=numbers, w1=SQUARE, w2=SQUARE, w9=SQUARE)
    made = insert(model, placed(model), table(dict.fromkeys("xc", 0.5)))

    assert "c" in [pair.name for pair in view_of(imported(made)).activations()]
    assert "shifted" not in lint(made, spec, (16, 16))[-1].detail


def test_lint_sees_the_model_without_shifts_and_counts_them(fragment, placed, table, spec):
    model = fragment(chain(), w1=SQUARE, w2=SQUARE, w9=SQUARE)
    placement = placed(model)
    made, around_zero = (
        insert(model, each, table(dict.fromkeys("xbr", 4.0))) for each in (placement, evolve(placement, lowest={}))
    )

    view = view_of(imported(made))

    assert [pair.name for pair in view.activations()] == ["x", "b"]
    assert set(view.twin) == {node.output[0] for node in model.graph.node}
    assert view.placement.groups == placement.groups
    assert lint(made, spec, (16, 16))[-1].detail.endswith("; tensors shifted before Q: 1")
    assert "shifted" not in lint(around_zero, spec, (16, 16))[-1].detail
