"""Models, profiles and options that cannot be used: one error, its fix, exit code 2, nothing written."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

ONE_PICTURE = "float[1,3,64,64]"
SHAPE = "min = [1, 3, 64, 64]\nopt = [1, 3, 64, 64]\n"


def truncated(little, path):
    path.write_bytes(little.read_bytes()[:-1])


def without_its_weights(little, path):
    onnx.save(onnx.load(little), path, save_as_external_data=True, location="weights", size_threshold=1024)
    (path.parent / "weights").unlink()


def with_half_its_weights(little, path):
    onnx.save(onnx.load(little), path, save_as_external_data=True, location="weights", size_threshold=1024)
    os.truncate(path.parent / "weights", 5000)


def of_opset(version):
    def write(little, path):
        model = onnx.load(little)
        model.opset_import[0].version = version
        onnx.save(model, path)

    return write


def of_inputs(inputs, body, *, channels=3):
    def write(_, path):
        text = f'<ir_version: 8, opset_import: ["" : 17]> g ({inputs}) => (float[N,M,H,W] out) {{ {body} }}'
        model = parser.parse_model(text)
        weights = np.random.default_rng(0).normal(0, 0.2, (8, channels, 3, 3)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
        onnx.save(model, path)

    return write


def in_half(little, path):
    model = onnx.load(little)
    for weights in model.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT:
            weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights).astype(np.float16), weights.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (truncated, "model.onnx (104,496 bytes) is not an ONNX, or was cut off"),
        (without_its_weights, "the weights of"),
        (with_half_its_weights, "the weights of"),
        (of_opset(9), "uses ONNX opset 9, and polyyolo needs 11 or newer"),
        (of_opset(999), "uses ONNX opset 999; the onnx that is installed knows"),
        (of_inputs("float[1,10] a", "out = Relu(a)"), "the model has no picture input (N, C, H, W)"),
        (of_inputs(f"{ONE_PICTURE} a, {ONE_PICTURE} b", "out = Add(a, b)"), "2 inputs that take pictures"),
        (in_half, "holds FP16, but int8 was asked for"),
        (lambda _, path: path.mkdir(), "is a folder, no model"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(refused, little_yolo, tmp_path, write, told):
    write(little_yolo, tmp_path / "model.onnx")

    assert told in refused(model=tmp_path / "model.onnx")


def test_a_model_without_convolutions_has_nothing_to_quantize(engine, tmp_path):
    of_inputs(f"{ONE_PICTURE} a", "out = Relu(a)")(None, tmp_path / "model.onnx")

    code, _, err = engine(model=tmp_path / "model.onnx")

    assert code == 2
    assert "nothing that could run in INT8: it holds no convolution or matrix product with weights" in err


@pytest.mark.parametrize(
    "write",
    [
        of_inputs("float[1,1,64,64] x", "c = Conv(x, w)\n out = Relu(c)", channels=1),
        of_inputs("uint8[1,3,64,64] i", "x = Cast<to = 1>(i)\n c = Conv(x, w)\n out = Relu(c)"),
    ],
    ids=["grey", "bytes"],
)
def test_a_model_that_is_no_detector_says_that_labels_are_not_used(engine, little_labelled, tmp_path, write):
    write(None, tmp_path / "model.onnx")

    code, out, _ = engine(
        *("--precision", "fp32", "--labelled", little_labelled, "--json"), model=tmp_path / "model.onnx"
    )
    said = [each["message"] for each in json.loads(out)["warnings"]]

    assert code == 0
    assert "accuracy is not measured: the model's outputs are no detections that labels could be held against" in said


def test_names_with_spaces_other_scripts_and_odd_bytes_do(process, little_yolo, little_pictures, tmp_path):
    model = shutil.copy(little_yolo, tmp_path / "ein Modell ü [1].onnx")
    pictures = shutil.copytree(little_pictures, tmp_path / "Bilder ü [1]")
    (pictures / "00.png").rename(os.fsdecode(os.fsencode(pictures) + b"/\xe9.png"))
    output = Path(os.fsdecode(os.fsencode(tmp_path) + b"/run \xe9 [x]"))

    prelude = f"sys.argv[2] = {str(model)!r}"
    running = process("--images", pictures, "-o", output, prelude=prelude)
    running.stdout.reconfigure(errors="surrogateescape")
    out, err = running.communicate(timeout=60)

    assert (running.returncode, err) == (0, "")
    assert out.startswith("UNPROVEN  ein Modell ü [1].onnx as int8")
    assert json.loads((output / "manifest.json").read_text())["pictures"]["found"] == 24


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hello = = 3", "cannot read"),
        ("", "it has no [[profile]] table"),
        (f'[[profile]]\n[profile."wrong"]\n{SHAPE}max = [1, 3, 64, 64]', "the model has no input 'wrong'"),
        (f'[[profile]]\n[profile."*"]\n{SHAPE}max = [0, 3, 64, 64]', "axis 0 (batch) goes 1 -> 1 -> 0"),
        (f'[[profile]]\n[profile."*"]\n{SHAPE}max = [1, 3, 96, 64]', "axis 2 (height) is fixed at 64"),
        (f'[[profile]]\n[profile."*"]\n{SHAPE}max = [1, 3, 64]', "min, opt and max have 4, 4 and 3 axes"),
        (f'[[profile]]\n[profile."*"]\n{SHAPE}max = [{2**31}, 3, 64, 64]', "axis 0 (batch) reaches 2147483648"),
        ('[[profile]]\n[profile."*"]\n' + "min = " + "[" * 5000, "cannot read"),
    ],
)
def test_a_profile_that_does_not_fit_is_refused(refused, little_dynamic, tmp_path, text, told):
    (tmp_path / "shapes.toml").write_text(text)

    assert told in refused("--profile", tmp_path / "shapes.toml", model=little_dynamic)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "nonsense"), "there is no calibration method 'nonsense'"),
        (("--profile", "nonsense"), "there is no profile 'nonsense'"),
    ],
)
def test_options_without_sense_are_refused(refused, words, told):
    assert told in refused(*words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--keep-float", "nonsense"), "no convolution or matrix product called 'nonsense'"),
        (("--budget", "1"), "nothing that could run in INT8"),
    ],
)
def test_a_model_that_would_stay_in_float_throughout_is_refused(engine, words, told):
    code, _, err = engine(*words)

    assert code == 2
    assert told in err


@pytest.mark.parametrize("count", ["1", str(10**18)])
def test_any_number_of_pictures_may_be_asked_for(engine, count):
    assert engine("--count", count)[0] == 0
