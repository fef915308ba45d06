"""polyyolo inspect layers, as it is typed."""

import json
from functools import partial

import numpy as np
import onnx
import pytest


@pytest.fixture
def told(polyyolo, monkeypatch):
    """Run ``polyyolo inspect layers``; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    return partial(polyyolo, "inspect", "layers")


def rows(text):
    """First cell -> all cells, of a table drawn with bars."""
    cells = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in text.splitlines() if "│" in line]
    return {row[0]: row for row in cells}


def test_layers_with_work_are_listed_with_precision_share_and_reason(told, little_yolo):
    code, out, _ = told(little_yolo)
    found = rows(out)

    assert code == 0
    assert len(found) == 14
    assert found["stem_conv"] == ["stem_conv", "Conv", "fp16", "0.2", "8.6%", "nearest the image"]
    assert found["cv2_conv"] == ["cv2_conv", "Conv", "int8", "0.9", "34.3%", ""]
    assert found["h3"][2::3] == ["fp16", "head output"]
    assert out.splitlines()[-1] == "91.1% of 0.00 GMACs would run in INT8"


def test_all_lists_layers_without_work_too(told, little_yolo):
    assert {"pool", "joined", "wh"} <= set(rows(told(little_yolo, "--all")[1]))


def test_json_has_the_same_for_scripts(told, little_yolo):
    code, out, _ = told(little_yolo, "--json")
    found = json.loads(out)
    layers = {layer["name"]: layer for layer in found["layers"]}

    assert code == 0
    assert found["size"] == [64, 64]
    assert found["int8_share"] == pytest.approx(0.911, abs=0.001)
    assert layers["stem_conv"] == {
        "name": "stem_conv",
        "kind": "Conv",
        "precision": "fp16",
        "macs": 32 * 32 * 8 * 27,
        "reason": "nearest the image",
    }


def test_options_show_what_a_run_with_them_would_do(told, little_yolo):
    out = told(little_yolo, "--keep-float", "none", "--keep-float", "cv1_conv")[1]

    assert rows(out)["stem_conv"][2] == "int8"
    assert rows(out)["cv1_conv"][5] == "kept by name"


def test_the_size_may_be_told_for_a_model_of_open_size(told, models):
    small, large = (json.loads(told(models / "yolov5s-dyn.onnx", "--json", "--size", *size)[1]) for size in
                    (("320", "320"), ("640", "640")))  # fmt: skip

    macs = [sum(layer["macs"] for layer in found["layers"]) for found in (small, large)]
    assert macs[1] == 4 * macs[0]
    assert small["int8_share"] == pytest.approx(large["int8_share"])


def test_a_size_that_the_model_does_not_have_exits_2(told, little_yolo):
    code, _, err = told(little_yolo, "--size", "128", "128")

    assert code == 2
    assert "64x64" in err
    assert "fix: " in err


@pytest.mark.parametrize("size", [("0", "64"), ("-64", "64")])
def test_a_size_of_nothing_exits_2(told, little_dynamic, size):
    assert told(little_dynamic, "--size", *size)[0] == 2


def test_names_in_brackets_are_shown_whole(told, little_yolo, tmp_path):
    """TensorFlow's and TensorRT's names hold brackets, which rich takes for colours."""
    model = onnx.load(little_yolo)
    next(node for node in model.graph.node if node.output[0] == "cv2_conv").name = "(Unnamed Layer* 4) [red]"
    onnx.save(model, tmp_path / "named.onnx")

    assert "(Unnamed Layer* 4) [red]" in rows(told(tmp_path / "named.onnx")[1])


def test_a_name_is_whole_on_a_narrow_screen_too(told, little_yolo, tmp_path, monkeypatch):
    """``--keep-float`` takes names, and three of one model were cut to the same one."""
    monkeypatch.setenv("COLUMNS", "80")
    model = onnx.load(little_yolo)
    name = "/model.22/cv3.0/cv3.0.1/conv/Conv_of_the_head"
    next(node for node in model.graph.node if node.output[0] == "cv2_conv").name = name
    onnx.save(model, tmp_path / "named.onnx")

    cells = [line.strip("│").split("│")[0].strip() for line in told(tmp_path / "named.onnx")[1].splitlines()]

    assert name in "".join(cells)


def test_an_operator_in_brackets_is_shown_as_it_is(told, little_yolo, tmp_path):
    model = onnx.load(little_yolo)
    gate = next(node for node in model.graph.node if node.op_type == "Sigmoid")
    gate.op_type, gate.domain = "[/red]", "mine"
    model.opset_import.append(onnx.helper.make_opsetid("mine", 1))
    onnx.save(model, tmp_path / "own.onnx")

    assert rows(told(tmp_path / "own.onnx", "--all")[1])["stem_gate"][1] == "[/red]"


def test_no_such_model_exits_2(told):
    code, out, err = told("none.onnx")

    assert (code, out) == (2, "")
    assert "none.onnx" in err


def test_a_size_that_is_no_multiple_of_the_stride_exits_2_with_one_that_is(told, models):
    code, _, err = told(models / "yolov5s-dyn.onnx", "--size", "333", "320")

    assert code == 2
    assert "333x320 is no multiple of the model's stride, 32" in err
    assert "use --size 352 320" in err


def test_the_size_of_a_model_of_fixed_size_is_one_that_it_takes(told, tmp_path):
    made = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,100,100] x) => (float[1,4,98,98] y) { y = Conv(x, w) }'
    )
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w"))
    onnx.save(made, tmp_path / "fixed.onnx")

    assert told(tmp_path / "fixed.onnx", "--size", "100", "100")[0] == 0
    assert "takes pictures of 100x100" in told(tmp_path / "fixed.onnx", "--size", "128", "128")[2]
