"""FP16 is quantized as ONNX says, in every ONNX Runtime that polyyolo runs on."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from polyyolo.errors import ModelError
from polyyolo.models import rounding as subject
from polyyolo.models.rounding import rounding, truncates
from polyyolo.models.runtime import open_session

HALF = st.floats(-8, 8, width=16)


def quantizing(kind="float16", opset=19):
    return onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : {opset}]> g ({kind}[16] x, {kind} scale) => (int8[16] y)
        <int8 zero = {{0}}> {{ y = QuantizeLinear(x, scale, zero) }}"""
    )


def ran(model, *feed):
    session = open_session(model if isinstance(model, bytes) else model.SerializeToString())
    return session.run(None, {tensor.name: value for tensor, value in zip(session.get_inputs(), feed, strict=True)})[0]


@pytest.fixture
def truncating(monkeypatch):
    """Take the ONNX Runtime that is here for one that truncates."""
    monkeypatch.setattr(subject, "truncates", lambda: True)


@given(arrays(np.float16, 16, elements=HALF), st.floats(2**-4, 1, width=16))
def test_fp16_is_quantized_to_the_nearest_level(values, scale):
    """Halfway goes to the even one, as in numpy."""
    expected = np.clip(np.rint(values.astype(np.float32) / np.float32(scale)), -128, 127)

    np.testing.assert_array_equal(ran(quantizing(), values, np.array(scale, np.float16)), expected)


def test_onnx_runtime_1_30_and_newer_need_no_help():
    import onnxruntime
    from packaging.version import Version

    assert truncates() is (Version(onnxruntime.__version__) < Version("1.30"))


def test_a_model_is_left_as_it_is_where_onnx_runtime_rounds(monkeypatch, little_yolo):
    monkeypatch.setattr(subject, "truncates", lambda: False)

    assert rounding(little_yolo) is little_yolo
    assert rounding(b"not looked at") == b"not looked at"


@pytest.mark.usefixtures("truncating")
def test_operator_sets_that_have_no_fp16_scales_are_left_as_they_are():
    before = quantizing("float", opset=18).SerializeToString()

    assert rounding(before) is before


@pytest.mark.usefixtures("truncating")
def test_a_file_of_an_operator_set_that_polyyolo_refuses_is_still_onnx_runtimes_to_run(tmp_path):
    text = '<ir_version: 8, opset_import: ["" : 9]> g (float[1] x) => (float[1] y) { y = Relu(x) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "old.onnx")

    (got,) = open_session(tmp_path / "old.onnx").run(None, {"x": np.array([-1.0], np.float32)})

    assert got.tolist() == [0.0]


@pytest.mark.usefixtures("truncating")
def test_quantizing_from_fp32_gives_the_same_levels():
    model = quantizing()
    values, scale = np.linspace(-3, 3, 16, dtype=np.float16), np.array(0.1, np.float16)

    made = onnx.load_model_from_string(rounding(model.SerializeToString()))
    onnx.checker.check_model(made, full_check=True)

    assert [node.op_type for node in made.graph.node] == ["Cast", "Cast", "QuantizeLinear"]
    np.testing.assert_array_equal(ran(model, values, scale), np.rint(values.astype(np.float32) / np.float32(scale)))


@pytest.mark.usefixtures("truncating")
def test_what_is_fp32_already_stays_the_same_to_the_last_bit():
    model = quantizing("float")
    values, scale = np.linspace(-3, 3, 16, dtype=np.float32), np.array(0.1, np.float32)

    np.testing.assert_array_equal(ran(model, values, scale), np.rint(values / scale))


@pytest.mark.usefixtures("truncating")
def test_a_pair_inside_a_branch_rounds_too():
    branch = "{ q = QuantizeLinear(x, scale)  r = DequantizeLinear(q, scale) }"
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 19]> g (float16[2] x, float16 scale, bool c) => (float16[2] y)
        {{ y = If (c) <then_branch = then () => (float16[2] r) {branch},
                       else_branch = other () => (float16[2] r) {branch}> }}"""
    )

    found = ran(model, np.array([0.75, 2.5], np.float16), np.array(1, np.float16), np.array(1, bool))

    assert found.tolist() == [1, 2]


@pytest.mark.usefixtures("truncating")
def test_a_file_with_weights_beside_it_is_read_with_them(tmp_path, little_yolo):
    model = onnx.load(little_yolo)
    model.opset_import[0].version = 19
    onnx.save_model(model, tmp_path / "big.onnx", save_as_external_data=True, location="big.weights", size_threshold=64)

    picture = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    found, expected = (
        open_session(path).run(None, {"images": picture})[0] for path in (tmp_path / "big.onnx", little_yolo)
    )

    assert (tmp_path / "big.weights").stat().st_size > 1000
    np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("truncating")
def test_what_is_no_model_is_the_users_model(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")

    with pytest.raises(ModelError, match=r"ONNX Runtime cannot load .*broken\.onnx"):
        open_session(path)
    with pytest.raises(ModelError, match="ONNX Runtime cannot load the model"):
        open_session(b"no model")
