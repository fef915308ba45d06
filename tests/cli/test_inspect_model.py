"""polyyolo inspect model: what is shown of a model, for people and for scripts."""

import json

from click.testing import CliRunner

from polyyolo.cli.inspect_model import model
from polyyolo.errors import ModelError


def test_the_table_shows_head_classes_anchors_and_why(models):
    out = CliRunner(env={"COLUMNS": "200"}).invoke(model, [str(models / "yolov4-tiny-416.onnx")]).output

    assert "images float32 (1, 3, 416, 416) (picture)" in out
    assert "darknet-raw: 2 maps of 3 x (5 + 80) channels at strides 32, 16" in out
    assert "80: the model does not name them" in out
    assert "stride 16: 23x27, 37x58, 81x82, scale_xy 1.05" in out
    assert "quantized │ no" in out


def test_class_names_and_metadata_are_shown_in_part(models):
    out = CliRunner(env={"COLUMNS": "200"}).invoke(model, [str(models / "yolov8n-640.onnx")]).output

    assert "80: person, bicycle, car" in out
    assert "and 68 more" in out
    assert "metadata: license" in out


def test_json_is_the_spec(models):
    out = CliRunner().invoke(model, [str(models / "yolov5s-dyn.onnx"), "--json"]).output

    shown = json.loads(out)
    assert shown["inputs"] == [{"name": "images", "dtype": "float32", "dims": ["batch", 3, "height", "width"]}]
    assert (shown["head"]["kind"], shown["head"]["classes"], shown["names"][79]) == ("v5", 80, "toothbrush")
    assert shown["bytes"] == (models / "yolov5s-dyn.onnx").stat().st_size


def test_a_forced_head_that_does_not_fit_raises_the_model_error(models):
    result = CliRunner().invoke(model, [str(models / "yolov5s-640.onnx"), "--head", "v8"])

    assert isinstance(result.exception, ModelError)
