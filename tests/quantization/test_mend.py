"""What can be put right is put right: the rule is content, ONNX Runtime runs it, and the numbers stay near."""

import re

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from polyyolo.errors import ModelError
from polyyolo.images.choose import choose
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.sources import find_pictures
from polyyolo.images.stream import batches
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load, read_spec
from polyyolo.passes.result import PassResult
from polyyolo.quantization.graph import imported
from polyyolo.quantization.lint.pairs import find_pairs
from polyyolo.quantization.mend import MENDERS, mend, mend_file
from polyyolo.verification.compare import side_by_side

PICTURE = np.random.default_rng(3).normal(0, 1, (1, 8, 16, 16)).astype(np.float32)
WEIGHTS = {
    f"w{number}": np.random.default_rng(number).normal(0, 0.35, (8, 8, 1, 1)).astype(np.float32) for number in range(6)
}
# Numbers around 1 everywhere, and scales that hold them: activations up to 3.8, weights up to 1.
FITTING = {"s": np.float32(0.03), "t": np.float32(0.03), "ws": np.full(8, 0.008, np.float32), **WEIGHTS}
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
d = Conv(b@t, w2@ws)
e = Add(a@s, d)
f = Conv(e@s, w3@ws)
y = Conv(f, w4)
"""


@pytest.fixture
def pair_of(qdq):
    """Write a model with mended and unmended numbers that fit."""
    return lambda body, **values: qdq(body, **{**FITTING, **values})


def ran(model, picture=PICTURE):
    onnx.checker.check_model(model, full_check=True)
    name = model.graph.input[0].name
    return open_session(model.SerializeToString()).run(None, {name: picture})[0]


def decibels(reference, other):
    """Signal over difference."""
    return 10 * np.log10((reference**2).sum() / max(((reference - other) ** 2).sum(), 1e-30))


# Body, other numbers, the rules that are mended, and how near the result is to the unmended one, in dB.
CASES = {
    "uint8": (CLEAN, {"t": np.float32(0.015), "t_zero": np.uint8(0)}, ["type"], 30),
    "zero-point": (CLEAN, {"t": np.float32(0.015), "t_zero": np.int8(-128)}, ["zero-point"], 30),
    "per-channel activation": (
        CLEAN,
        {"t": np.linspace(0.02, 0.03, 8).astype(np.float32)},
        ["per-channel-activation"],
        30,
    ),
    "per-tensor weights": (CLEAN.replace("w2@ws", "w2@v"), {"v": np.float32(0.008)}, ["per-tensor-weight"], 30),
    "weight axis": (CLEAN.replace("w2@ws", "w2@v"), {"v": np.full(5, 0.008, np.float32)}, ["weight-axis"], None),
    "zero scale": (CLEAN.replace("w2@ws", "w2@v"), {"v": np.array([0] + [0.008] * 7, np.float32)}, ["scale"], None),
    "infinite scale": (CLEAN, {"t": np.float32(np.inf)}, ["scale", "half-quantized"], None),
    "bias": (CLEAN.replace("w2@ws)", "w2@ws, n@s)"), {"n": np.ones(8, np.float32)}, ["bias"], 30),
    "head": (CLEAN.replace("Conv(d, w3)", "Conv(d@s, w3@ws)"), {}, ["head"], 25),
    "activation": (CLEAN.replace("Relu(b)", "Relu(b@t)"), {}, ["conv-activation"], 25),
    "twice": (CLEAN.replace("c@t", "c@t@u"), {"u": np.float32(0.031)}, ["double"], 25),
    "activation alone": (CLEAN.replace("w2@ws", "w2"), {}, ["half-quantized"], 30),
    "weights alone": (CLEAN.replace("c@t", "c"), {}, ["half-quantized"], 30),
    "softmax": (CLEAN.replace("c = Relu(b)", "n = Relu(b)\nm = Softmax(n@s)\nc = Abs(m)"), {}, ["softmax"], 20),
    "unused": (CLEAN.replace("c = Relu(b)", "n = Relu(b)\nc = Abs(n@s)"), {}, ["unused"], 25),
    "convolution and add": (RESIDUAL.replace("Add(a@s, d)", "Add(a@s, d@t)"), {}, ["add-conv-branch"], 25),
    "skip": (RESIDUAL.replace("Add(a@s, d)", "Add(a, d)"), {}, ["add-skip-branch"], 25),
    "decode": (CLEAN.replace("y = Conv", "k = Conv") + "m = Mul(k@s, k@s)\ny = Identity(m@t)", {}, ["decode"], None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mended_model_is_clean_and_stays_near(pair_of, findings, case):
    body, values, rules, near = CASES[case]
    model = pair_of(body, **values)

    result = mend(model)

    assert [line.partition(":")[0] for line in result.notes] == rules
    assert findings(result.model) == {}
    if near is not None:
        assert decibels(ran(model), ran(result.model)) > near
    assert decibels(ran(pair_of(re.sub(r"@\w+", "", body), **values)), ran(result.model)) > 10


# Q and DQ of c have other numbers: what the model means nobody knows.
APART = CLEAN.replace(
    "Conv(c@t, w2@ws)", "Conv(c_d, w2@ws)\nc_q = QuantizeLinear(c, t, t_zero)\nc_d = DequantizeLinear(c_q, u, u_zero)"
)


@pytest.mark.parametrize(
    ("zero", "scale"),
    [(np.uint8(0), np.float32(0.06)), (np.int8(-128), np.float32(0.06)), (np.int8(1), np.float32(0.03))],
)
def test_a_pair_of_other_numbers_in_than_out_is_left_an_error(pair_of, findings, zero, scale):
    lines = APART.strip().splitlines()
    body = "\n".join([*lines[:4], lines[5], lines[6], lines[4], lines[7]])
    model = pair_of(body, t_zero=zero, u=scale, u_zero=type(zero)(0))

    result = mend(model)

    assert np.array_equal(ran(model), ran(result.model))
    assert "pair-mismatch" in findings(result.model)


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_stored_weights_of_the_head_with_a_broken_scale_stay_an_error(pair_of, findings, scale):
    stored = "w = DequantizeLinear<axis = 0>(w_int8, broken, none)\n"
    body = CLEAN.replace("y = Conv(d, w3)", f"{stored}y = Conv(d@s, w)")
    numbers = {"w_int8": np.ones((8, 8, 1, 1), np.int8), "none": np.zeros(8, np.int8)}
    model = pair_of(body, **numbers, broken=np.array([scale] + [0.01] * 7, np.float32))

    result = mend(model)

    assert "scale" in findings(result.model)


def test_a_scale_that_is_computed_beside_float_weights_is_taken_away(pair_of, findings):
    body = CLEAN.replace(
        "d = Conv(c@t, w2@ws)",
        "f = Abs(t)\nn = QuantizeLinear(c, f, t_zero)\nm = DequantizeLinear(n, f, t_zero)\nd = Conv(m, w2)",
    )
    model = pair_of(body, t_zero=np.int8(0))

    result = mend(model)

    assert "half-quantized: mended 1" in result.notes
    assert "half-quantized" not in findings(result.model)


def test_weights_of_four_bits_are_refused_by_name(little_yolo, tmp_path):
    model = load(little_yolo)
    model.graph.initializer.append(onnx.helper.make_tensor("nibbles", onnx.TensorProto.INT4, [4], [1, 2, 3, 4]))
    onnx.save(model, tmp_path / "packed.onnx")

    with pytest.raises(ModelError, match="holds 1 tensors of 4 bits, 'nibbles' first"):
        mend_file(read_spec(tmp_path / "packed.onnx"), tmp_path / "out.onnx")

    assert not (tmp_path / "out.onnx").exists()


def test_a_clean_model_comes_back_as_it_was(pair_of):
    model = pair_of(CLEAN)

    assert mend(model) == PassResult(model, changed=False)


def test_mending_leaves_the_given_model_as_it_was(pair_of):
    model = pair_of(CLEAN, t_zero=np.int8(5))
    before = model.SerializeToString()

    assert mend(model).changed
    assert model.SerializeToString() == before


def test_only_the_named_rules_are_mended(pair_of, findings):
    model = pair_of(CLEAN.replace("Relu(b)", "Relu(b@t)"), s_zero=np.int8(5))

    assert sorted(findings(model)) == ["conv-activation", "zero-point"]
    assert list(findings(mend(model, rules=["zero-point"]).model)) == ["conv-activation"]


# As ONNX Runtime leaves a Relu out between a convolution and a Q that clips at 0.
CLIPPED = """
a = Conv(x, w0)
b = Conv(a@s, w1@ws)
c = Conv(b@t, w2@ws)
d = Sigmoid(b)
e = Add(c, d)
y = Conv(e@s, w3@ws)
"""


@pytest.mark.parametrize("zero", [np.int8(-128), np.uint8(0)])
def test_what_q_clipped_at_zero_is_clipped_by_a_relu_whether_q_stays_or_goes(pair_of, findings, zero):
    """The one before the head goes."""
    model = pair_of(CLIPPED, s=np.float32(0.015), t=np.float32(0.015), s_zero=zero, t_zero=zero)

    mended = mend(model).model

    assert findings(mended) == {}
    assert [node.input[0] for node in mended.graph.node if node.op_type == "Relu"] == ["a", "b", "e"]
    assert decibels(ran(model), ran(mended)) > 20
    assert next(node for node in mended.graph.node if node.op_type == "Sigmoid").input[0] == "b", "read in float"


@pytest.mark.parametrize("top", [1, 6])
def test_a_range_that_ends_at_a_whole_number_is_that_of_a_clip(pair_of, findings, top):
    zero, scale = np.int8(-128), np.float32(top / 255)
    model = pair_of(CLIPPED.replace("e@s", "e@t"), s_zero=zero, t_zero=zero, t=scale)

    mended = mend(model).model

    assert findings(mended) == {}
    constants = {each.name: numpy_helper.to_array(each).item() for each in mended.graph.initializer if not each.dims}
    clips = [[constants.get(name, name) for name in node.input] for node in mended.graph.node if node.op_type == "Clip"]
    assert clips == [["b", 0, top], ["e", 0, top]]
    assert decibels(ran(model), ran(mended)) > 20


@pytest.mark.parametrize(
    "made",
    [
        "c = Relu(h)",
        "c = Sigmoid(h)",
        "c = Clip(h, n, m)",
        "a = Relu(h)\nc = Add(a@s, a@s)",
        "a = Relu(h)\nc = Mul(a, m)",
        "a = Relu(h)\nc = MaxPool<kernel_shape = [1, 1]>(a@s)",
    ],
)
def test_what_is_never_below_zero_needs_no_relu_and_neither_does_the_picture(pair_of, made):
    body = f"h = Conv(x@s, w0@ws)\n{made}\nd = Conv(c@t, w2@ws)\ny = Conv(d, w3)"
    zero = np.int8(-128)
    model = pair_of(body, s_zero=zero, t_zero=zero, n=np.float32(0), m=np.float32(4))

    result = mend(model)

    assert result.changed
    counts = [sum(node.op_type in {"Relu", "Clip"} for node in each.graph.node) for each in (model, result.model)]
    assert counts[0] == counts[1]


# The third convolution reads stored integers, whose node names no axis.
STORED = CLEAN.replace("d = Conv(c@t, w2@ws)", "k = DequantizeLinear(q, v)\nd = Conv<group = 2>(c@t, k)")


@pytest.mark.parametrize("inputs", [4, 8], ids=["too few on axis 1", "as many on axis 1"])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_stored_weights_whose_axis_was_forgotten_have_it_on_the_outputs(pair_of, findings, inputs, kind):
    body = STORED.replace("group = 2", f"group = {8 // inputs}")
    levels = np.random.default_rng(7).integers(np.iinfo(kind).min, np.iinfo(kind).max, (8, inputs, 1, 1), kind)
    numbers = {"q": levels, "v": np.linspace(0.004, 0.04, 8).astype(np.float32) / 8}
    model, meant = pair_of(body, **numbers), pair_of(body.replace("Linear(q", "Linear<axis = 0>(q"), **numbers)

    mended = mend(model).model

    assert [each.mendable for each in findings(model)["weight-axis"]] == [True]
    assert findings(mended) == {}
    assert decibels(ran(meant), ran(mended)) > 40


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_stored_weights_whose_scales_fit_no_axis_are_found_and_left(pair_of, findings, kind):
    body = STORED.replace("y = Conv(d, w3)", "e = Conv<group = 2>(d, k)\ny = Add(d, e)")
    model = pair_of(body, q=np.ones((8, 4, 1, 1), kind), v=np.full(5, 0.1, np.float32))

    found = findings(mend(model).model)

    assert [(each.detail, each.mendable) for each in found["weight-axis"]] == [
        ("5 scales on axis 1, 8 outputs on axis 0", False),
        ("5 scales on axis 1, 8 outputs on axis 0", False),
    ]


def test_tied_scales_are_the_widest_of_the_group(pair_of, findings):
    body = """
    a = Conv(x, w0)
    b = Conv(a@s, w1@ws)
    p = MaxPool<kernel_shape = [1, 1]>(b@t)
    j = Concat<axis = 1>(a@s, p)
    c = Conv(j@u, w8@ws)
    y = Conv(c, w3)
    """
    wide = np.random.default_rng(9).normal(0, 0.25, (8, 16, 1, 1)).astype(np.float32)
    model = pair_of(body, u=np.float32(0.03), t=np.float32(0.04), w8=wide)

    mended = mend(model).model

    assert findings(mended) == {}
    scales = {pair.name: float(pair.scale) for pair in find_pairs(imported(mended)) if pair.stored is None}
    assert scales == pytest.approx({"a": 0.04, "b": 0.04, "j": 0.04})


@given(
    scale=st.floats(1e-3, 10),
    zero=st.integers(0, 255),
    signed=st.booleans(),
    values=st.lists(st.floats(-1, 1), min_size=1, max_size=20),
)
def test_a_symmetric_pair_covers_what_the_asymmetric_one_did(scale, zero, signed, values):
    low, kind = (-128, np.int8) if signed else (0, np.uint8)
    shift = zero + low
    text = """<ir_version: 8, opset_import: ["" : 17]> pair (float[N] x) => (float[N] y)
    { q = QuantizeLinear(x, s, z)  y = DequantizeLinear(q, s, z) }"""
    model = onnx.parser.parse_model(text)
    numbers = {"s": np.float32(scale), "z": kind(shift)}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items())
    reach = max(abs(low - shift), abs(low + 255 - shift)) * np.float32(scale)
    inside = np.array([low - shift + (value + 1) / 2 * 255 for value in values], np.float32) * np.float32(scale)

    mended = mend(model, rules=["type", "zero-point"]).model

    (pair,) = find_pairs(imported(mended))
    assert pair.type == "INT8"
    assert not pair.zero_point.any()
    if mended is not model:
        assert reach / 127 * (1 - 1e-6) <= float(pair.scale) <= reach / 127 * 1.002
        assert np.abs(ran(mended, inside) - inside).max() <= float(pair.scale) * 0.5001


def quantized_by_onnx_runtime(model, pictures, output, **options):
    """Quantize as ONNX Runtime does, calibrated on a few pictures; give those as batches."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self, name, fed):
            self.left = iter([{name: batch} for batch in fed])

        def get_next(self):
            return next(self.left, None)

    spec = read_spec(model)
    fed = list(batches(choose(pictures, preprocessing_for(spec, spec.image_input.dims[2:]), count=4, batch=1)))
    quantize_static(model, output, Reader(spec.image, fed), **options)
    return fed


@pytest.fixture
def by_onnx_runtime(tmp_path, little_yolo, little_pictures):
    """Quantize the little YOLO with given options; give the file and one picture as a batch."""

    def write(**options):
        path = tmp_path / "quantized.onnx"
        return path, quantized_by_onnx_runtime(little_yolo, little_pictures, path, **options)[0]

    return write


def int8(**extra):
    from onnxruntime.quantization import QuantType

    return {
        "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8,
        "per_channel": True,
        "extra_options": {
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "AddQDQPairToWeight": True,
            "QuantizeBias": False,
            **extra,
        },
    }


def test_onnx_runtimes_default_is_mended_but_for_its_weights(by_onnx_runtime, findings, little_yolo):
    path, picture = by_onnx_runtime()
    model = load(path)

    result = mend(model)

    assert {"zero-point", "bias", "decode", "head", "conv-activation", "per-tensor-weight"} <= set(findings(model))
    assert sorted(findings(result.model)) == ["per-tensor-weight"]
    wanted, before, after = (ran(each, picture)[:, 4:] for each in (load(little_yolo), model, result.model))
    # Signed steps are twice as wide as the unsigned ones that held positive values.
    assert decibels(wanted, after) > decibels(wanted, before) - 6
    assert decibels(wanted, after) > 15


def test_onnx_runtimes_tensorrt_settings_are_mended_whole(by_onnx_runtime, findings, little_yolo):
    path, picture = by_onnx_runtime(**int8())
    model = load(path)

    result = mend(model)

    found = findings(model)
    assert {"decode", "head", "conv-activation", "untied"} <= set(found)
    assert not {"zero-point", "bias", "type", "per-tensor-weight"} & set(found)
    assert not findings(result.model)
    wanted, before, after = (ran(each, picture)[:, 4:] for each in (load(little_yolo), model, result.model))
    assert decibels(wanted, after) > decibels(wanted, before) + 1


def test_unsigned_activations_and_weights_become_signed(by_onnx_runtime, findings, little_yolo):
    from onnxruntime.quantization import QuantType

    path, picture = by_onnx_runtime(activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8)
    model = load(path)

    result = mend(model)

    assert len(findings(model)["type"]) > 40
    assert sorted(findings(result.model)) == ["per-tensor-weight"]
    assert {pair.type for pair in find_pairs(imported(result.model))} == {"INT8"}
    assert decibels(ran(load(little_yolo), picture), ran(result.model, picture)) > 25


def test_a_model_that_onnx_runtime_took_every_relu_from_has_them_again(little_yolo, little_pictures, tmp_path):
    model = load(little_yolo)
    gates = [node for node in model.graph.node if node.output[0].endswith("_gate")]
    for node in gates:
        product = next(each for each in model.graph.node if node.output[0] in each.input)
        product.CopyFrom(onnx.helper.make_node("Relu", node.input, product.output))
        model.graph.node.remove(node)
    onnx.save(model, tmp_path / "relu.onnx")
    quantized = tmp_path / "quantized.onnx"
    picture = quantized_by_onnx_runtime(tmp_path / "relu.onnx", little_pictures, quantized, per_channel=True)[0]
    model = load(quantized)

    mended = mend(model).model

    operators = [[node.op_type for node in each.graph.node].count("Relu") for each in (model, mended)]
    assert operators == [0, len(gates)]
    wanted, before, after = (ran(each, picture)[:, 4:] for each in (load(tmp_path / "relu.onnx"), model, mended))
    assert decibels(wanted, after) > decibels(wanted, before) - 1


def test_the_mended_file_says_so_and_keeps_its_outputs(by_onnx_runtime, tmp_path):
    path, _ = by_onnx_runtime(**int8())
    before = read_spec(path)

    after, notes = mend_file(before, tmp_path / "mended.onnx")

    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    assert after.history == (*before.history, "mend Q/DQ")
    assert {line.partition(":")[0] for line in notes} <= set(MENDERS)


@pytest.mark.slow
def test_a_real_model_that_onnx_runtime_quantized_finds_its_boxes_again(models, train, val, tmp_path):
    """YOLOv4-tiny, ONNX Runtime's TensorRT settings: boxes that overlap by 0.9 with the float model's."""
    reference = read_spec(models / "yolov4-tiny-416.onnx")
    quantized_by_onnx_runtime(reference.path, train / "images", tmp_path / "quantized.onnx", **int8())
    spoilt = read_spec(tmp_path / "quantized.onnx", head=reference.head.kind)
    mended, _ = mend_file(spoilt, tmp_path / "mended.onnx")
    pictures = find_pictures(val / "images")[:8]

    def f1(candidate):
        found = side_by_side(reference, candidate, preprocessing_for(reference, (416, 416)), pictures=pictures).fidelity
        return next(each.f1 for each in found.agreements if (each.confidence, each.iou) == (0.25, 0.9))

    assert f1(spoilt) < 0.6
    assert f1(mended) > 0.8
