"""Q/DQ nodes as TensorRT reads them: symmetric, zero-point 0, per channel for weights; and the numbers stay right."""

import numpy as np
import onnx
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import numpy_helper

from polyyolo.errors import ModelError, TableError
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.gates import by_tanh
from polyyolo.quantization.grid import SMALLEST_SCALE, half_scale
from polyyolo.quantization.insertion import Weights, insert, weight_scales
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import placement_of, quantize

SQUARE = (8, 8, 1, 1)
INNER = ("QuantizeLinear", "DequantizeLinear")


def producers(model):
    return {output: node for node in model.graph.node for output in node.output}


def constants(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def source_of(model, name):
    """Walk back over a pair of DequantizeLinear and QuantizeLinear, and a shift; None where there is no pair."""
    node = producers(model).get(name)
    if node is None or node.op_type != "DequantizeLinear":
        return None
    return before_shift(model, producers(model)[node.input[0]].input[0])


def before_shift(model, name):
    """Name what a shift before QuantizeLinear takes its constant off, or else the tensor itself."""
    node = producers(model).get(name)
    return node.input[0] if node is not None and node.name.endswith("_shift") else name


def scales_of(model):
    """Scale by quantized tensor."""
    values = constants(model)
    pairs = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return {before_shift(model, node.input[0]): values[node.input[1]] for node in pairs}


def quantized(model, placed, table, amax=4.0, budget=None):
    placement = placed(model, *([budget] if budget else []))
    made = insert(model, placement, table(dict.fromkeys(placement.measured, amax)))
    onnx.checker.check_model(made, full_check=True)
    return made


def ran(model, feed):
    return open_session(model.SerializeToString()).run(None, feed)


CHAIN = "a = Conv(x, w1)  g = Sigmoid(a)  b = Mul(a, g)  y = Conv(b, w2)"


def test_the_convolution_reads_int8_on_both_sides_and_its_activation_reads_the_convolution(fragment, placed, table):
    made = quantized(fragment(CHAIN, w1=SQUARE, w2=SQUARE), placed, table)
    by_output = producers(made)

    assert [source_of(made, name) for name in by_output["a"].input] == ["x", "w1"]
    assert list(by_output["g"].input) == ["a"]
    assert list(by_output["b"].input) == ["a", "g"]
    assert list(by_output["y"].input) == ["b", "w2"], "the head stays in float"


def test_every_zero_point_is_int8_zero_and_as_long_as_its_scale(fragment, placed, table):
    made = quantized(fragment(CHAIN, w1=SQUARE, w2=SQUARE), placed, table)
    values = constants(made)
    pairs = [node for node in made.graph.node if node.op_type in INNER]

    assert len(pairs) == 4
    for node in pairs:
        scale, zero = values[node.input[1]], values[node.input[2]]
        assert zero.dtype == np.int8
        assert zero.shape == scale.shape
        assert not zero.any()


def test_activations_have_one_scale_and_weights_one_a_channel(fragment, placed, table):
    model = fragment(CHAIN, w1=SQUARE, w2=SQUARE)

    scales = scales_of(quantized(model, placed, table, amax=127 * 0.25))

    assert scales["x"] == 0.25
    assert scales["x"].shape == ()
    expected = np.abs(constants(model)["w1"]).max(axis=(1, 2, 3)) / 127
    np.testing.assert_allclose(scales["w1"], expected, rtol=2**-10)
    assert (scales["w1"] >= expected).all()


@pytest.mark.parametrize(
    ("body", "layout"),
    [
        ("a = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w1)  y = Conv(a, w2)", ((8, 8, 3, 3), 0)),
        ("a = Conv<group = 8>(x, w1)  y = Conv(a, w2)", ((8, 1, 1, 1), 0)),
        ("a = ConvTranspose<strides = [2, 2]>(x, w1)  y = Conv(a, w2)", ((8, 8, 2, 2), 1)),
        ("a = MatMul(x, w1)  y = Conv(a, w2)", ((16, 5), 1)),
        ("a = MatMul(x, w1)  y = Conv(a, w2)", ((8, 16, 5), 2)),
        ("a = MatMul(w1, x)  y = Conv(a, w2)", ((5, 16), 0)),
        ("f = Flatten(x)  a = Gemm(f, w1)  r = Reshape(a, square)  y = Conv(r, w2)", ((2048, 128), 1)),
        ("f = Flatten(x)  a = Gemm<transB = 1>(f, w1)  r = Reshape(a, square)  y = Conv(r, w2)", ((128, 2048), 0)),
    ],
    ids=["Conv", "depthwise", "ConvTranspose", "MatMul", "batched", "weights first", "Gemm", "Gemm transposed"],
)
def test_weight_scales_follow_the_axis_of_the_outputs(fragment, placed, table, body, layout):
    shape, axis = layout
    square = {"square": np.array([1, 8, 4, 4])}
    made = quantized(fragment(body, constants=square, w1=shape, w2=SQUARE), placed, table)

    pair = [node for node in made.graph.node if node.op_type in INNER and node.name.startswith("w1_")]

    assert [onnx.helper.get_node_attr_value(node, "axis") for node in pair] == [axis, axis]
    assert scales_of(made)["w1"].shape == (shape[axis],)


def test_an_add_right_behind_a_convolution_takes_int8_on_its_skip_side_only(fragment, placed, table):
    """TensorRT fuses Conv and Add only when what comes from the convolution is left in float."""
    body = """a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  e = Add(b, c)
              f = Conv(e, w3)  h = Add(e, f)  y = Conv(h, w4)"""

    made = quantized(fragment(body, **dict.fromkeys(("w1", "w2", "w3", "w4"), SQUARE)), placed, table)
    by_output = producers(made)

    assert source_of(made, by_output["e"].input[0]) == "b"
    assert by_output["e"].input[1] == "c"
    assert source_of(made, by_output["h"].input[0]) == "e"
    assert by_output["h"].input[1] == "f"


SILU = "s = Sigmoid(c)  d = Mul(c, s)"


@pytest.mark.parametrize("activation", ["d = Relu(c)", "d = LeakyRelu(c)", SILU, SILU.replace("c, s", "s, c")])
def test_behind_an_activation_function_an_add_takes_int8_on_both_sides(fragment, placed, table, activation):
    """The function is one layer with its convolution, the Add another: both run in INT8, and nothing is converted."""
    body = (
        f"a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  {activation}  e = Add(b, d)  f = Conv(e, w3)  y = Conv(f, w4)"
    )

    made = quantized(fragment(body, **dict.fromkeys(("w1", "w2", "w3", "w4"), SQUARE)), placed, table)

    assert [source_of(made, name) for name in producers(made)["e"].input] == ["b", "d"]
    assert scales_of(made).keys() >= {"b", "d", "e"}


def test_the_branch_of_a_convolution_in_float_stays_in_float(fragment, placed, table):
    body = f"""a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  {SILU}  e = Add(b, d)
               f = Conv(b, w3)  g = Add(e, f)  y = Conv(g, w4)"""
    model = fragment(body, **dict.fromkeys(("w1", "w2", "w3", "w4"), SQUARE))

    made = quantized(model, placed, table, budget=FloatBudget(names=("c",)))

    assert source_of(made, producers(made)["e"].input[0]) == "b"
    assert producers(made)["e"].input[1] == "d"


def test_a_branch_whose_range_is_unknown_stays_in_float(fragment, placed, table):
    """Scales that were made elsewhere need not have one."""
    body = f"a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  {SILU}  e = Add(b, d)  y = Conv(e, w3)"
    model = fragment(body, **dict.fromkeys(("w1", "w2", "w3"), SQUARE))
    placement = placed(model)

    made = insert(model, placement, table(dict.fromkeys(placement.observed, 4.0)))

    assert set(placement.measured) - set(placement.observed) == {"d"}
    assert producers(made)["e"].input[1] == "d"


def test_the_skip_is_found_whichever_side_it_is_on(fragment, placed, table):
    body = "a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  d = Relu(c)  e = Add(d, b)  y = Conv(e, w3)"

    made = quantized(fragment(body, **dict.fromkeys(("w1", "w2", "w3"), SQUARE)), placed, table)

    assert [source_of(made, name) for name in producers(made)["e"].input] == ["d", "b"]


def test_an_add_of_a_constant_is_no_skip(fragment, placed, table):
    body = "a = Conv(x, w1)  b = Relu(a)  c = Add(b, k)  d = Conv(b, w2)  e = Add(c, d)  y = Conv(e, w3)"
    weights = dict.fromkeys(("w1", "w2", "w3"), SQUARE)

    made = quantized(fragment(body, k=(8, 1, 1), **weights), placed, table)

    assert list(producers(made)["c"].input) == ["b", "k"]


def test_a_concat_reads_all_its_inputs_at_one_scale_and_hands_it_on(fragment, placed, table):
    body = """a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  d = Relu(c)  e = Concat<axis = 1>(b, d)
              f = Conv(e, w3)  y = Conv(f, w4)"""
    model = fragment(body, w1=SQUARE, w2=SQUARE, w3=(8, 16, 1, 1), w4=SQUARE)
    placement = placed(model)

    made = insert(model, placement, table({"x": 1.0, "b": 2.0, "e": 127.0, "f": 1.0}))
    scales = scales_of(made)

    assert [source_of(made, name) for name in producers(made)["e"].input] == ["b", "d"]
    assert scales["b"] == scales["d"] == scales["e"] == 1.0
    assert "f" not in scales, "only the head reads it"


def test_one_pair_serves_all_readers_of_a_tensor(fragment, placed, table):
    body = "a = Conv(x, w1)  b = Conv(x, w2)  c = Add(a, b)  y = Conv(c, w3)"

    made = quantized(fragment(body, **dict.fromkeys(("w1", "w2", "w3"), SQUARE)), placed, table)

    assert sum(node.op_type == "QuantizeLinear" and node.input[0] == "x" for node in made.graph.node) == 1


def test_shared_weights_are_quantized_once_and_stay_float_for_the_head(fragment, placed, table):
    made = quantized(fragment("a = Conv(x, w)  b = Relu(a)  c = Conv(b, w)  y = Conv(c, w)", w=SQUARE), placed, table)

    assert [source_of(made, producers(made)[name].input[1]) for name in "acy"] == ["w", "w", None]
    assert sum(node.op_type == "QuantizeLinear" and node.input[0] == "w" for node in made.graph.node) == 1


def test_weights_that_a_convolution_and_a_transposed_one_share_have_scales_on_the_axis_of_each(
    fragment, placed, table, findings
):
    body = """a = Conv(x, w)  b = Relu(a)  c = ConvTranspose(b, w)  d = Relu(c)
              e = Conv(d, w)  f = Relu(e)  g = ConvTranspose(f, w)  y = Conv(g, w2)"""

    made = quantized(fragment(body, w=SQUARE, w2=SQUARE), placed, table)

    by_output = producers(made)
    pairs = [by_output[by_output[name].input[1]] for name in "aceg"]
    assert [onnx.helper.get_node_attr_value(node, "axis") for node in pairs] == [0, 1, 0, 1]
    assert sum(node.op_type == "QuantizeLinear" and node.input[0] == "w" for node in made.graph.node) == 2
    assert findings(made) == {}


def test_an_intermediate_output_keeps_its_name_and_its_float_values(fragment, placed, table):
    body = "a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  d = Relu(c)  y = Conv(d, w3)"
    model = fragment(body, outputs="b, y", **dict.fromkeys(("w1", "w2", "w3"), SQUARE))

    made = quantized(model, placed, table)

    assert [output.name for output in made.graph.output] == ["b", "y"]
    assert producers(made)["b"].op_type == "Relu"


def test_weights_behind_a_cast_are_quantized_too(fragment, placed, table):
    """Some exporters store weights in FP16 and cast them up."""
    weight = {"w16": np.random.default_rng(0).normal(0, 1, SQUARE).astype(np.float16)}
    model = fragment("w1 = Cast<to = 1>(w16)  a = Conv(x, w1)  y = Conv(a, w2)", constants=weight, w2=SQUARE)

    made = quantized(model, placed, table)

    assert source_of(made, producers(made)["a"].input[1]) == "w1"
    np.testing.assert_allclose(scales_of(made)["w1"], np.abs(weight["w16"]).max(axis=(1, 2, 3)) / 127, rtol=2**-9)


def test_a_channel_of_zeros_and_a_tensor_of_zeros_stay_zero(fragment, placed, table):
    weight = np.random.default_rng(0).normal(0, 1, SQUARE).astype(np.float32)
    weight[3] = 0
    model = fragment("a = Conv(x, w1)  y = Conv(a, w2)", outputs="a, y", constants={"w1": weight}, w2=SQUARE)

    made = quantized(model, placed, table, amax=0.0)
    out, _ = ran(made, {"x": np.zeros((1, 8, 16, 16), np.float32)})

    assert np.isfinite(scales_of(made)["w1"]).all()
    assert scales_of(made)["w1"][3] > 0
    assert not out.any()


@pytest.mark.parametrize("opset", [11, 12])
def test_older_operator_sets_are_raised_to_where_each_channel_may_have_a_scale(fragment, placed, table, opset):
    body = """a = Conv(x, w1)  left, right = Split<axis = 1, split = [4, 4]>(a)  b = Concat<axis = 1>(right, left)
              c = Conv(b, w2)  y = Softmax<axis = 1>(c)"""
    model = fragment(body, opset=opset, w1=SQUARE, w2=SQUARE)
    picture = np.random.default_rng(0).normal(0, 1, (1, 8, 16, 16)).astype(np.float32)

    made = quantized(model, placed, table, amax=12.0)

    assert [entry.version for entry in made.opset_import] == [13]
    assert set(scales_of(made)) == {"x", "w1"}, "the second is the head"
    np.testing.assert_allclose(ran(made, {"x": picture})[0], ran(model, {"x": picture})[0], atol=0.05)


def test_a_range_beyond_what_a_scale_can_hold_is_refused(fragment, placed, table):
    model = fragment(CHAIN, w1=SQUARE, w2=SQUARE)

    with pytest.raises(ModelError, match=r"'x' reaches 1e\+09"):
        quantized(model, placed, table, amax=1e9)


def test_weights_beyond_what_a_scale_can_hold_are_refused(fragment, placed, table):
    weight = np.full(SQUARE, 1e8, np.float32)
    model = fragment("a = Conv(x, w1)  y = Conv(a, w2)", constants={"w1": weight}, w2=SQUARE)

    with pytest.raises(ModelError, match=r"the weights of 'a' reach 1e\+08"):
        quantized(model, placed, table)


@pytest.mark.parametrize("magnitude", [1.0, 1e-4])
def test_small_weights_have_as_many_levels_as_large_ones(fragment, placed, table, magnitude):
    """As those of a model that takes pictures from 0 to 255, and divides them in its first convolution."""
    weight = magnitude * np.random.default_rng(0).normal(0, 1, SQUARE).astype(np.float32)
    model = fragment("a = Conv(x, w1)  y = Conv(a, w2)", outputs="a, y", constants={"w1": weight}, w2=SQUARE)
    picture = np.random.default_rng(1).uniform(0, 4, (1, 8, 16, 16)).astype(np.float32)
    (exact, _), (made, _) = ran(model, {"x": picture}), ran(quantized(model, placed, table), {"x": picture})

    assert np.square(made - exact).mean() < 2e-4 * np.square(exact).mean()


def test_an_add_reads_in_float_what_a_convolution_reads_only_a_part_of(fragment, placed, table, findings):
    """The part was measured, and the rest may be any times larger."""
    body = """a = Conv(x, w1)  b = Abs(a)  p = Slice(b, none, four, one)  c = Conv(p, w4)  d = Relu(c)
              e = Add(b, d)  f = Conv(e, w2)  y = Conv(f, w3)"""
    ends = {"none": np.array([0]), "four": np.array([4]), "one": np.array([1])}
    model = fragment(body, constants=ends, w1=SQUARE, w4=(8, 4, 1, 1), w2=SQUARE, w3=SQUARE)

    made = quantized(model, placed, table)

    assert source_of(made, producers(made)["c"].input[0]) == "p"
    assert [source_of(made, name) for name in producers(made)["e"].input] == [None, None]
    assert findings(made) == {}


@pytest.mark.parametrize("name", ["b_dequantized", "b_scale", "b_shifted", "b_middle", "a_half", "a_gate_0"])
def test_a_name_that_the_model_has_already_is_given_to_nothing_else(fragment, placed, table, name):
    body = f"""a = Conv(x, w1)  g = Sigmoid(a)  b = Mul(a, g)  {name} = Neg(b)  c = Conv(b, w2)  d = Conv({name}, w4)
               e = Add(c, d)  f = Relu(e)  y = Conv(f, w3)"""
    model = fragment(body, **dict.fromkeys(("w1", "w2", "w3", "w4"), SQUARE))
    picture = np.random.default_rng(0).normal(0, 0.3, (1, 8, 16, 16)).astype(np.float32)
    placement = placed(model)
    lowest = {tensor: -0.2785 for tensor in placement.observed if tensor == "b"}
    ranges = table({"x": 2.0, "b": 8.0, name: 8.0, "f": 30.0})

    made = by_tanh(insert(model, evolve(placement, lowest=lowest), ranges))

    onnx.checker.check_model(made, full_check=True)
    exact, close = ran(model, {"x": picture})[0], ran(made, {"x": picture})[0]
    assert np.square(close - exact).mean() < 0.01 * np.square(exact).mean()


def test_a_table_without_a_tensor_is_refused(fragment, placed, table):
    model = fragment(CHAIN, w1=SQUARE, w2=SQUARE)

    with pytest.raises(TableError, match="no max range for tensor 'x'"):
        insert(model, placed(model), table({"b": 1.0}))


def test_a_table_of_another_model_is_refused(little_yolo, table, tmp_path):
    spec = read_spec(little_yolo)
    placement = placement_of(spec, (64, 64), FloatBudget(0.10))

    with pytest.raises(TableError, match="belongs to model ffffffffffff"):
        quantize(spec, table(dict.fromkeys(placement.observed, 1.0), "f" * 64), placement, tmp_path / "int8.onnx")

    assert list(tmp_path.iterdir()) == []


def test_a_whole_model_computes_nearly_what_it_did(little_yolo, table, tmp_path):
    spec = read_spec(little_yolo)
    placement = placement_of(spec, (64, 64), FloatBudget(0.10))
    picture = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    watched = load(little_yolo)
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in placement.observed if name != "images")
    seen = open_session(watched.SerializeToString()).run(list(placement.observed[1:]), {"images": picture})
    amax = {"images": 1.0} | {
        name: float(np.abs(values).max()) for name, values in zip(placement.observed[1:], seen, strict=True)
    }

    made = quantize(spec, table(amax, spec.sha256), placement, tmp_path / "int8.onnx")
    (before,) = ran(load(little_yolo), {"images": picture})
    (after,) = ran(load(made.path), {"images": picture})

    assert made.quantized
    assert made.head.kind is spec.head.kind
    assert made.names == ("dark", "bright")
    assert made.history == ("quantize (max, 10 of 14 nodes)",)
    noise = np.square(after[:, 4:] - before[:, 4:]).mean() / np.square(before[:, 4:]).mean()
    assert 0 < noise < 0.01


@given(arrays(np.float64, st.integers(1, 9), elements=st.floats(0, 60000)))
def test_a_scale_fits_fp16_exactly_and_never_clips(values):
    scales = half_scale(values)

    assert scales.dtype == np.float32
    assert np.array_equal(scales.astype(np.float16).astype(np.float32), scales)
    assert (scales >= values).all()
    assert (scales <= np.maximum(values * (1 + 2**-10) + 2**-24, SMALLEST_SCALE)).all()


@given(arrays(np.float32, (4, 3, 2, 2), elements=st.floats(-100, 100, width=32)), st.integers(0, 1))
def test_no_weight_is_clipped_and_none_is_off_by_more_than_half_a_step(weight, axis):
    scales = weight_scales(weight, axis)
    shape = [-1 if index == axis else 1 for index in range(4)]
    levels = np.round(weight / scales.reshape(shape))

    assert np.abs(levels).max() <= 127
    assert (np.abs(levels * scales.reshape(shape) - weight) <= scales.reshape(shape) * 0.5001).all()


def test_convolutions_that_share_weights_each_have_their_own_once_these_are_treated(fragment, placed, table):
    """Rounding makes up for what each of them reads, as the heads of RTMDet on each map do."""
    model = fragment(
        "a = Conv(x, w)  b = Relu(a)  c = Conv(b, w)  r = Relu(c)  y = Conv(r, last)", w=SQUARE, last=SQUARE
    )
    ones, scales = np.ones(SQUARE, np.int8), np.full(8, 0.5, np.float32)
    treated = {name: Weights(scales, ones * factor) for name, factor in (("a", 3), ("c", 7))}

    made = insert(model, placed(model), table(dict.fromkeys("xbr", 4.0)), treated)

    onnx.checker.check_model(made, full_check=True)
    held = constants(made)
    read = {node.output[0]: source_of(made, node.input[1]) for node in made.graph.node if node.op_type == "Conv"}
    assert [np.unique(held[read[name]]).tolist() for name in "ac"] == [[1.5], [3.5]]
