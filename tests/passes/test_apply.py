"""Passes one after the other over a file: written whole, read again, with what happened to it."""

import onnx
import pytest

from polyyolo.errors import InputError, ModelError
from polyyolo.models.spec import read_spec
from polyyolo.passes import apply as applying
from polyyolo.passes.apply import Step, apply
from polyyolo.passes.result import PassResult
from polyyolo.progress import Silent, listening
from polyyolo.records import HeadKind


class Notes(Silent):
    def __init__(self):
        self.lines = []

    def noted(self, message):
        self.lines.append(message)


def test_only_passes_that_changed_something_are_in_the_history(models, tmp_path):
    spec = read_spec(models / "yolov5s-640.onnx", history=("exported",))
    steps = [Step("leakyrelu-to-relu"), Step("cut-decode"), Step("shape", {"batch": 2, "size": None})]

    made = apply(spec, steps, tmp_path / "out.onnx")

    assert made.history == ("exported", "cut-decode", "shape(batch=2)")
    assert (made.path, made.head.kind) == (tmp_path / "out.onnx", HeadKind.V5_RAW)
    assert made.outputs[0].dims == (2, 255, 80, 80)
    assert made == read_spec(tmp_path / "out.onnx", history=made.history)


def test_what_a_pass_did_is_told_to_whoever_listens(models, tmp_path):
    notes = Notes()
    with listening(notes):
        apply(read_spec(models / "yolov4-tiny-416.onnx"), [Step("leakyrelu-to-relu")], tmp_path / "out.onnx")

    assert notes.lines == ["leakyrelu-to-relu: 19 LeakyRelu became Relu"]


def test_a_model_whose_weights_are_listed_as_inputs_goes_through_every_pass(little_yolo, tmp_path):
    """Format version 3 wants them there, and GraphSurgeon takes them off the list."""
    model = onnx.load(little_yolo)
    model.ir_version = 3
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(weights.name, weights.data_type, weights.dims)
        for weights in model.graph.initializer
    )
    onnx.save(model, tmp_path / "old.onnx")

    made = apply(read_spec(tmp_path / "old.onnx"), [Step("shape", {"batch": 2})], tmp_path / "out.onnx")

    assert [each.name for each in made.inputs] == ["images"]
    assert [value.name for value in onnx.load(made.path).graph.input] == ["images"]


def test_a_model_can_be_replaced_by_what_it_becomes(models, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes((models / "yolov8n-640.onnx").read_bytes())

    made = apply(read_spec(path), [Step("metadata", {"strip": True})], path)

    assert (made.metadata, made.head.classes) == ({}, 80)
    assert [each.name for each in tmp_path.iterdir()] == ["m.onnx"]


def test_a_pass_that_refuses_leaves_no_file(models, tmp_path):
    with pytest.raises(ModelError, match="holds a grid"):
        apply(read_spec(models / "yolov8n-640.onnx"), [Step("shape", {"size": (320, 320)})], tmp_path / "out.onnx")

    assert list(tmp_path.iterdir()) == []


def test_a_pass_that_does_not_exist_is_refused_with_those_that_do(models, tmp_path):
    with pytest.raises(InputError, match="no pass 'simplfy'") as error:
        apply(read_spec(models / "yolov8n-640.onnx"), [Step("simplfy")], tmp_path / "out.onnx")

    assert "simplify" in error.value.fix


def test_a_result_that_the_checker_refuses_is_not_written(models, tmp_path, monkeypatch):
    def breaking(model):
        broken = type(model)()
        broken.CopyFrom(model)
        broken.graph.node[0].op_type = "NoSuchOp"
        return PassResult(broken, changed=True)

    monkeypatch.setattr(applying, "PASSES", {"break": breaking})

    with pytest.raises(ModelError, match="after break the ONNX checker refuses the model"):
        apply(read_spec(models / "yolov8n-640.onnx"), [Step("break")], tmp_path / "out.onnx")

    assert list(tmp_path.iterdir()) == []
