"""What each layer computes in, how much, and why it stays in float."""

import numpy as np
import onnx
import pytest

from polyyolo.models.spec import read_spec
from polyyolo.quantization.placement import DECODE, HEAD, NAMED, STEM, FloatBudget
from polyyolo.quantization.quantize import cast_to_half, placement_of, quantize
from polyyolo.records import CalibrationTable, Layer, Precision, Preprocessing
from polyyolo.verification.layers import int8_share, layers

SIZE = (64, 64)
INT8, FP16, FP32 = Precision.INT8, Precision.FP16, Precision.FP32


@pytest.fixture
def spec(little_yolo):
    return read_spec(little_yolo)


def quantized(spec, folder, budget):
    placement = placement_of(spec, SIZE, budget)
    table = CalibrationTable(
        model_sha256=spec.sha256,
        set_sha256="",
        preprocessing=Preprocessing(SIZE),
        pictures=1,
        method="max",
        ranges={name: {"max": 8.0} for name in placement.observed},
        histogram_sha256="",
    )
    return quantize(spec, table, placement, folder / "int8.onnx")


def told(listed):
    """By first output: kind, precision and reason."""
    return {layer.name: (layer.precision, layer.reason) for layer in listed}


def test_an_fp32_model_is_fp32_and_needs_no_reasons(spec):
    listed = layers(spec, SIZE, FloatBudget(0.10))

    assert {layer.precision for layer in listed} == {FP32}
    assert {layer.reason for layer in listed} == {""}
    assert int8_share(listed) == 0.0


def test_an_fp32_model_can_be_told_as_it_would_become(spec):
    found = told(layers(spec, SIZE, FloatBudget(0.10, ("m1_conv",)), planned=True))

    assert found["stem_conv"] == (FP16, STEM)
    assert found["down1_conv"] == (INT8, "")
    assert found["m1_conv"] == (FP16, NAMED)
    assert found["h3"] == (FP16, HEAD)
    assert found["down1_gate"] == (FP16, "")
    assert found["pool"] == found["split"] == found["joined"] == found["up"] == (INT8, "")
    assert found["wh"] == (FP32, "")


@pytest.mark.parametrize("budget", [FloatBudget(0.10), FloatBudget(sensitive=("stem_conv",))])
def test_what_is_planned_is_what_it_becomes(budget, spec, tmp_path):
    made = cast_to_half(quantized(spec, tmp_path, budget), tmp_path / "half.onnx")

    planned = layers(spec, SIZE, budget, planned=True)
    real = layers(made, SIZE, budget)

    assert told(real) == told(planned)
    assert {layer.name: layer.macs for layer in real if layer.macs} == {
        layer.name: layer.macs for layer in planned if layer.macs
    }
    assert int8_share(real) == int8_share(planned) == pytest.approx(0.911, abs=0.001)


def test_a_quantized_model_is_told_as_it_is_whatever_was_asked(spec, tmp_path):
    made = quantized(spec, tmp_path, FloatBudget(names=("stem_conv", "cv2_conv")))

    found = told(layers(made, SIZE, FloatBudget(), planned=True))

    assert found["stem_conv"] == (FP32, "reads the picture")
    assert found["cv2_conv"] == (FP32, "not quantized in the model")
    assert found["cv1_conv"] == (INT8, "")


def test_every_node_is_listed_once_in_order_but_none_that_only_converts(spec, tmp_path):
    before = layers(spec, SIZE, FloatBudget(0.10))
    made = cast_to_half(quantized(spec, tmp_path, FloatBudget(0.10)), tmp_path / "half.onnx")

    after = layers(made, SIZE, FloatBudget(0.10))

    assert {layer.kind for layer in after}.isdisjoint({"QuantizeLinear", "DequantizeLinear", "Cast", "Constant"})
    assert sorted(layer.name for layer in after) == sorted(layer.name for layer in before)
    assert len({layer.name for layer in before}) == len(before)


def test_weights_alone_in_int8_are_not_int8_arithmetic(tmp_path):
    """Both sides must come out of a DequantizeLinear, or TensorRT multiplies in float."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,8,8] images) => (float[1,4,8,8] y)
        <float s = {0.5}, int8 z = {0}> {
            w = DequantizeLinear(w8, s, z)  a = Conv(images, w)  y = Relu(a)
        }"""
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((4, 3, 1, 1), np.int8), "w8"))
    onnx.save(model, tmp_path / "w.onnx")

    found = told(layers(read_spec(tmp_path / "w.onnx"), (8, 8), FloatBudget(0.10)))

    assert found["a"][0] is FP32


def test_the_share_weighs_layers_by_their_work():
    listed = (Layer("a", "Conv", INT8, 30), Layer("b", "Conv", FP16, 70), Layer("c", "Concat", INT8, 0))

    assert int8_share(listed) == 0.3
    assert int8_share(()) == 0.0


@pytest.mark.parametrize(("name", "least"), [("yolov5s-640", 0.85), ("yolov8n-640", 0.85), ("yolov4-tiny-416", 0.85)])
def test_nearly_all_work_of_real_models_runs_in_int8(models, name, least):
    spec = read_spec(models / f"{name}.onnx")
    side = spec.image_input.dims[2]

    listed = layers(spec, (side, side), FloatBudget(0.10), planned=True)

    assert least < int8_share(listed) < 1
    assert {layer.reason for layer in listed} <= {"", HEAD, DECODE, STEM}
    assert all(layer.precision is not INT8 for layer in listed if layer.reason)
