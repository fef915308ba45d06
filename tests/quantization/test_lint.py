"""Each rule finds its own mistake, in its place, and nothing else; what is right is left in peace."""

import numpy as np
import onnx
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.spec import is_quantized, load
from polyyolo.quantization.half import to_half
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.lint.run import lint
from polyyolo.quantization.lint.table import CHECKS
from polyyolo.quantization.mend import MENDERS, mend
from polyyolo.quantization.placement import FloatBudget

# A float convolution next to the image, two in INT8, a float head.
CLEAN = """
h = Conv(x, w0)
a = Relu(h)
b = Conv(a@s, w1@ws)
c = Relu(b)
d = Conv(c@t, w2@ws)
y = Conv(d, w3)
"""
RESIDUAL = """
a = Conv(x, w0)
b = Conv(a@s, w1@ws)
g = Sigmoid(b)
c = Mul(b, g)
d = Conv(c@t, w2@ws)
e = Add(a@s, d)
f = Conv(e@s, w3@ws)
y = Conv(f, w4)
"""
CARRIED = """
a = Conv(x, w0)
b = Conv(a@s, w1@ws)
p = MaxPool<kernel_shape = [1, 1]>(b@s)
j = Concat<axis = 1>(a@s, p)
c = Conv(j@s, w16@ws)
y = Conv(c, w3)
"""
DFL = """
h = Conv(x, w0)
a = Conv(h@s, w1@ws)
y0 = Conv(a, w2)
p = Softmax<axis = 1>(y0)
y = Conv(p, w3)
"""
WIDE = {"w16": np.full((8, 16, 1, 1), 0.5, np.float32)}


@pytest.mark.parametrize(("kind", "share"), [(np.int8, "50.0%"), (np.uint8, "50.0%"), (np.int16, "25.0%")])
def test_numbers_of_other_than_8_bits_are_not_counted_as_int8(qdq, spec, kind, share):
    *_, told = lint(qdq(CLEAN, opset=21, t_zero=kind(0)), spec, (16, 16))

    assert told.detail.startswith(share)


@pytest.mark.parametrize("body", [CLEAN, RESIDUAL, CARRIED, DFL])
def test_a_graph_that_keeps_every_rule_has_no_findings(qdq, findings, body):
    assert findings(qdq(body, **WIDE)) == {}


MISTAKES = {
    "zero-point": (CLEAN, {"t_zero": np.int8(-128)}, ["c: zero-point -128"]),
    "type": (CLEAN, {"t_zero": np.uint8(128)}, ["c: UINT8"]),
    "scale": (CLEAN, {"t": np.float32(np.inf)}, ["c: inf, 1 of 1"]),
    "per-channel-activation": (CLEAN, {"t": np.full(8, 0.1, np.float32)}, ["c: 8 scales"]),
    "weight-axis": (
        CLEAN.replace("w2@ws", "w2@v"),
        {"v": np.full(5, 0.1, np.float32)},
        ["w2: 5 scales on axis 0, 8 outputs on axis 0"],
    ),
    "per-tensor-weight": (CLEAN.replace("w2@ws", "w2@s"), {}, ["w2"]),
    "bias": (CLEAN.replace("w2@ws)", "w2@ws, n@s)"), {"n": np.ones(8, np.float32)}, ["n: INT8"]),
    "head": (CLEAN.replace("Conv(d, w3)", "Conv(d@s, w3@ws)"), {}, ["y"]),
    "conv-activation": (CLEAN.replace("Relu(b)", "Relu(b@t)"), {}, ["b: read by Relu"]),
    "double": (CLEAN.replace("c@t", "c@s@t"), {}, None),
    "half-quantized": (CLEAN.replace("w2@ws", "w2"), {}, ["d: activation only"]),
    "network-input": (
        CLEAN.replace("Conv(x, w0)", "Conv<pads = [2, 2, 2, 2]>(x@s, w0@ws)"),
        {"w0": np.ones((8, 8, 5, 5), np.float32)},
        ["x"],
    ),
    "add-conv-branch": (RESIDUAL.replace("Add(a@s, d)", "Add(a@s, d@t)"), {}, ["e: reads d"]),
    "add-skip-branch": (RESIDUAL.replace("Add(a@s, d)", "Add(a, d)"), {}, ["e: a"]),
    "add-activation-branch": (
        RESIDUAL.replace("e = Add(a@s, d)", "h = Relu(d)\ne = Add(a@s, h)"),
        {},
        ["e: h, for which no scale is known: calibrate it"],
    ),
    "untied": (
        CARRIED.replace("MaxPool<kernel_shape = [1, 1]>(b@s)", "MaxPool<kernel_shape = [1, 1]>(b@t)"),
        WIDE,
        None,
    ),
    "dfl": (DFL.replace("Conv(p, w3)", "Conv(p@s, w3)"), {}, ["y: reads p"]),
    "softmax": (CLEAN.replace("c = Relu(b)", "n = Relu(b)\nm = Softmax(n@s)\nc = Abs(m)"), {}, ["m: reads n"]),
    "unused": (CLEAN.replace("c = Relu(b)", "n = Relu(b)\nc = Abs(n@s)"), {}, ["n: read by Abs"]),
}


@pytest.mark.parametrize("rule", MISTAKES)
def test_each_mistake_is_found_by_its_rule_alone(qdq, findings, rule):
    body, values, expected = MISTAKES[rule]

    found = findings(qdq(body, **values))

    assert list(found) == [rule]
    if expected is not None:
        assert [", ".join(each.names) + (each.detail and f": {each.detail}") for each in found[rule]] == expected
    assert all(each.mendable for each in found[rule]) == (rule not in {"network-input", "add-activation-branch"})


def test_errors_come_first_and_the_share_of_int8_last(qdq, spec):
    found = lint(qdq(CLEAN.replace("Relu(b)", "Relu(b@t)"), s_zero=np.int8(3)), spec, (16, 16))

    assert [each.rule.name for each in found] == ["zero-point", "conv-activation", "int8-share"]
    # two of four equal convolutions
    assert found[-1].detail == "50.0% of 0.00 GMACs, 2 of 4 convolutions and products"


def test_a_tensor_with_two_scales_is_untied_even_without_a_concat(qdq, findings):
    found = findings(
        qdq(CLEAN.replace("d = Conv(c@t, w2@ws)", "d1 = Conv(c@t, w2@ws)\nd2 = Conv(c@s, w4@ws)\nd = Add(d1, d2)"))
    )

    assert [(each.names, each.detail) for each in found.pop("untied")] == [(("c",), "2 scales from 0.05 to 0.1")]
    assert found == {}


def test_a_pair_inside_silu_and_one_inside_mish_are_found(qdq, findings):
    silu = CLEAN.replace("c = Relu(b)", "g = Sigmoid(b)\nc = Mul(b, g@s)")
    mish = CLEAN.replace("c = Relu(b)", "g = Softplus(b)\nk = Tanh(g@s)\nc = Mul(b, k)")

    assert {rule: [each.detail for each in found] for rule, found in findings(qdq(silu)).items()} == {
        "conv-activation": ["read by Mul"]
    }
    assert list(findings(qdq(mish))) == ["conv-activation"]


def test_both_sides_of_an_add_behind_an_activation_function_may_be_quantized(qdq, findings):
    """TensorRT fuses the function into the convolution, and adds in INT8."""
    body = RESIDUAL.replace("e = Add(a@s, d)", "h = Relu(d)\ne = Add(a@s, h@t)")

    assert findings(qdq(body)) == {}


def test_a_product_of_two_other_tensors_is_no_activation(qdq, findings):
    found = findings(qdq(CLEAN.replace("c = Relu(b)", "k = Conv(a@s, w5@ws)\ng = Sigmoid(k)\nc = Mul(b, g@s)")))

    assert list(found) == ["unused"]


def test_a_residual_add_of_two_convolutions_may_have_one_branch_in_int8(qdq, findings):
    """As ResNet's downsampling has it; both in INT8 is one too many."""
    body = CLEAN.replace("c = Relu(b)", "k = Conv(a@s, w5@ws)\nc = Add(b@t, k)")

    assert findings(qdq(body)) == {}
    assert [each.detail for each in findings(qdq(body.replace("k)\nd", "k@t)\nd")))["add-conv-branch"]] == ["reads k"]


def test_a_skip_branch_that_nothing_reads_in_int8_is_no_mistake(qdq, findings):
    """Its own convolution is kept in float, as polyyolo does where that is worth it: the tensor is not kept twice."""
    body = RESIDUAL.replace("Conv(a@s, w1@ws)", "Conv(a, w1)").replace("Add(a@s, d)", "Add(a, d)")

    assert findings(qdq(body)) == {}


def test_a_quantized_decode_names_its_nodes_and_the_output(qdq, findings):
    body = CLEAN.replace("y = Conv(d, w3)", "k = Conv(d, w3)\nm = Mul(k@s, n@s)\ny = Identity(m@s)")

    found = findings(qdq(body, n=np.ones((1, 8, 1, 1), np.float32)))

    assert list(found) == ["decode"]
    assert [each.names for each in found["decode"]] == [("m",), ("m",), ("y",)]


def test_a_zero_scale_of_one_channel_is_found(qdq, findings):
    (found,) = findings(qdq(CLEAN, ws=np.array([0] + [0.02] * 7, np.float32)))["scale"][:1]

    assert (found.names, found.detail, found.mendable) == (("w1",), "0, 1 of 8", True)


def test_a_quantizelinear_without_zero_point_is_uint8_by_onnx(qdq, findings):
    model = qdq(CLEAN)
    for node in model.graph.node:
        if node.output[0] in ("c_t_q", "c_t"):
            del node.input[2]

    assert [each.detail for each in findings(model)["type"]] == ["UINT8, for want of a zero-point"]


@pytest.mark.parametrize(("stored", "way"), [(np.int32(0), ("Cast", {"to": 3})), (np.int8(0), ("Identity", {}))])
def test_a_zero_point_has_the_type_that_a_cast_makes_of_it(qdq, findings, spec, stored, way):
    """PyTorch exports those of fake_quantize so: as INT32 behind a Cast, or several behind one Identity."""
    model = qdq(CLEAN)
    (zero,) = [each for each in model.graph.initializer if each.name == "t_zero"]
    zero.CopyFrom(onnx.numpy_helper.from_array(stored, "kept"))
    op, attributes = way
    model.graph.node.insert(0, onnx.helper.make_node(op, ["kept"], ["t_zero"], **attributes))

    assert {name: [each.detail for each in found] for name, found in findings(model).items()} == {
        "computed-number": [f"by {op}"]
    }
    assert lint(model, spec, (16, 16))[-1].detail.startswith("50.0%")
    mended = mend(model).model
    assert findings(mended) == {}
    assert [node.op_type for node in mended.graph.node if node.op_type in ("Cast", "Identity")] == []


@pytest.mark.parametrize(("kind", "opset"), [("INT16", 21), ("UINT16", 21), ("INT4", 21), ("FLOAT8E4M3FN", 19)])
def test_other_types_than_int8_are_named_and_left_alone(qdq, findings, kind, opset):
    model = qdq(CLEAN, opset=opset)
    (zero,) = [tensor for tensor in model.graph.initializer if tensor.name == "t_zero"]
    zero.CopyFrom(onnx.helper.make_tensor("t_zero", getattr(onnx.TensorProto, kind), [], [0]))

    assert [(each.detail, each.mendable) for each in findings(model)["type"]] == [(kind, False)]


def test_quantize_and_dequantize_with_other_scales_do_not_match(qdq, findings):
    model = qdq(CLEAN)
    (node,) = [node for node in model.graph.node if node.output[0] == "c_t"]
    node.input[1] = "s"

    assert [each.detail for each in findings(model)["pair-mismatch"]] == ["scale 0.1 in, 0.05 out"]


def test_a_computed_scale_is_refused(qdq, findings):
    model = qdq(CLEAN.replace("d =", "m = ReduceMax<keepdims = 0>(a)\nd ="))
    for node in model.graph.node:
        if node.output[0] in ("c_t_q", "c_t"):
            node.input[1] = "m"

    found = findings(model)

    assert [each.detail for each in found["scale"]] == ["computed while the model runs"]


def test_halves_before_opset_19_and_mixed_types_are_refused(qdq, findings):
    cast = CLEAN.replace("d = Conv(c@t, w2@ws)", "k = Cast<to = 10>(c)\nm = Cast<to = 1>(k@t)\nd = Conv(m, w2)")
    half = qdq(cast, opset=19, t=np.float16(0.1))
    (scale,) = [tensor for tensor in half.graph.initializer if tensor.name == "t"]

    assert "opset" not in findings(half)

    half.opset_import[0].version = 17
    assert [each.detail for each in findings(half)["opset"]] == ["FP16 scale in opset 17, allowed from 19 on"]

    scale.CopyFrom(onnx.numpy_helper.from_array(np.float32(0.1), "t"))
    assert [each.detail for each in findings(half)["opset"]] == ["FLOAT scale for FLOAT16 values"]


@pytest.mark.parametrize(
    ("op", "outputs"), [("DynamicQuantizeLinear", ["u", "s", "z"]), ("ConvInteger", ["u"]), ("QLinearConv", ["u"])]
)
def test_a_model_that_computes_with_integers_is_called_quantized(op, outputs):
    graph = onnx.helper.make_graph([onnx.helper.make_node(op, ["x"], outputs)], "g", [], [])

    assert is_quantized(onnx.helper.make_model(graph))


def test_onnx_runtimes_integer_format_is_refused(qdq, findings):
    model = qdq(CLEAN)
    node = onnx.helper.make_node("DynamicQuantizeLinear", ["c"], ["u", "u_scale", "u_zero"])
    model.graph.node.append(node)

    assert [each.detail for each in findings(model)["integer-operator"]] == ["DynamicQuantizeLinear"]


def test_a_model_without_q_dq_is_refused(fragment, spec):
    with pytest.raises(ModelError, match="has no QuantizeLinear or DequantizeLinear") as error:
        lint(fragment("y = Conv(x, w)", w=(8, 8, 1, 1), outputs="float[1,8,16,16] y"), spec, (16, 16))

    assert "polyyolo engine" in error.value.fix


def test_only_rules_that_exist_are_mended():
    assert set(MENDERS) < {rule.name for rule in CHECKS}


def test_what_polyyolo_quantizes_is_clean_in_fp32_and_in_fp16(little_yolo, findings, placed, table):
    model = load(little_yolo)
    for budget in (0.0, 0.1):
        placement = placed(model, FloatBudget(stem=budget), dict.fromkeys(_names(model), 1))
        made = insert(model, placement, table(dict.fromkeys(placement.measured, 4.0)))

        assert {*findings(made), *findings(to_half(made, "images"))} <= ({"network-input"} if not budget else set())


def _names(model):
    return [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
