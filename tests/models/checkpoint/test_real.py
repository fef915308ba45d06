"""The real checkpoints against what the official exporters made of them."""

import ast
import json
import subprocess
import sys
import time

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from polyyolo.models.checkpoint import convert
from polyyolo.models.spec import read_spec
from polyyolo.records import HeadKind


def run(path, image):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": image})


@pytest.fixture(scope="module")
def pictures(val):
    """Four real photographs, (4, 3, 640, 640) in 0..1."""
    found = sorted((val / "images").glob("*.jpg"))[:4]
    stretched = [cv2.resize(cv2.imread(str(path)), (640, 640)) for path in found]
    return np.stack([image[:, :, ::-1].transpose(2, 0, 1) / np.float32(255) for image in stretched])


def assert_same_detections(expected, actual, *, axis):
    expected, actual = (np.moveaxis(output, axis, -1) for output in (expected, actual))
    assert expected.shape == actual.shape
    assert np.abs(expected[..., :4] - actual[..., :4]).max() < 0.01  # pixels
    assert np.abs(expected[..., 4:] - actual[..., 4:]).max() < 1e-5


@pytest.mark.parametrize(("name", "axis"), [("yolov5s", 2), ("yolov8n", 1)])
def test_static_conversion_equals_the_official_export(models, pictures, tmp_path, name, axis):
    ours = convert(models / f"{name}.pt", tmp_path / "ours.onnx")
    for picture in pictures[:, None]:
        assert_same_detections(run(models / f"{name}-640.onnx", picture)[0], run(ours, picture)[0], axis=axis)


@pytest.mark.parametrize(("name", "axis"), [("yolov5s", 2), ("yolov8n", 1)])
def test_dynamic_conversion_equals_the_official_export_at_any_batch_and_size(models, pictures, tmp_path, name, axis):
    ours = convert(models / f"{name}.pt", tmp_path / "ours.onnx", dynamic=True)
    views = (pictures[:1], pictures[:2, :, :320, :480], pictures[:3, :, 64:256, :])
    for image in map(np.ascontiguousarray, views):
        assert_same_detections(run(models / f"{name}-dyn.onnx", image)[0], run(ours, image)[0], axis=axis)


def test_raw_maps_equal_the_official_export(models, pictures, tmp_path):
    ours = convert(models / "yolov5s.pt", tmp_path / "ours.onnx", head="raw")
    expected = run(models / "yolov5s-640-3head.onnx", pictures[:1])
    for wanted, got in zip(expected, run(ours, pictures[:1]), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("opset", [11, 12, 13, 21])
@pytest.mark.parametrize("name", ["yolov5s", "yolov8n"])
def test_every_opset_computes_the_same(models, pictures, tmp_path, name, opset):
    image = np.ascontiguousarray(pictures[:1, :, :256, :256])
    wanted = run(convert(models / f"{name}.pt", tmp_path / "17.onnx", size=(256, 256)), image)[0]
    for dynamic in (False, True):
        path = convert(models / f"{name}.pt", tmp_path / "x.onnx", size=(256, 256), opset=opset, dynamic=dynamic)
        assert onnx.load(path).opset_import[0].version == opset
        np.testing.assert_allclose(run(path, image)[0], wanted, rtol=1e-6, atol=1e-5)


def test_v8_weights_are_bit_for_bit_those_of_the_official_export(models, tmp_path):
    official, ours = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
        for path in (models / "yolov8n-640.onnx", convert(models / "yolov8n.pt", tmp_path / "ours.onnx"))
    )
    weights = [name for name in ours if name.endswith((".weight", ".bias"))]
    assert len(weights) == 126  # 63 convolutions
    assert all(np.array_equal(official[name], ours[name]) for name in weights)


@pytest.mark.parametrize(("name", "kind"), [("yolov5s", HeadKind.V5), ("yolov8n", HeadKind.V8)])
def test_metadata_names_classes_strides_and_head(models, tmp_path, name, kind):
    spec = read_spec(convert(models / f"{name}.pt", tmp_path / "ours.onnx", batch=2, size=(384, 640)))
    official = {entry.key: entry.value for entry in onnx.load(models / f"{name}-640.onnx").metadata_props}["names"]
    names = ast.literal_eval(official)
    assert (spec.image, spec.image_input.dims) == ("images", (2, 3, 384, 640))
    assert (spec.head.kind, spec.head.classes, spec.head.strides) == (kind, 80, (8, 16, 32))
    assert spec.names == tuple(names.values() if isinstance(names, dict) else names)
    assert json.loads(spec.metadata["strides"]) == [8, 16, 32]
    assert (spec.metadata["stride"], spec.metadata["task"]) == ("32", "detect")


def test_raw_v5_maps_carry_their_anchors_in_pixels(models, tmp_path):
    spec = read_spec(convert(models / "yolov5s.pt", tmp_path / "ours.onnx", head="raw"))
    assert spec.head.kind is HeadKind.V5_RAW
    assert spec.head.outputs == ("p3", "p4", "p5")
    assert [output.dims for output in spec.outputs] == [(1, 255, 80, 80), (1, 255, 40, 40), (1, 255, 20, 20)]
    assert spec.head.anchors[0] == ((10, 13), (16, 30), (33, 23))
    assert spec.head.anchors[2] == ((116, 90), (156, 198), (373, 326))


def test_raw_v8_maps_hold_boxes_then_classes(models, pictures, tmp_path):
    maps = run(convert(models / "yolov8n.pt", tmp_path / "ours.onnx", head="raw"), pictures[:1])
    assert [output.shape for output in maps] == [(1, 144, 80, 80), (1, 144, 40, 40), (1, 144, 20, 20)]
    scores = 1 / (1 + np.exp(-np.concatenate([output[:, 64:].reshape(1, 80, -1) for output in maps], 2)))
    expected = run(models / "yolov8n-640.onnx", pictures[:1])[0][:, 4:]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)


def test_activations_are_written_as_builders_fuse_them(models, tmp_path):
    graph = onnx.load(convert(models / "yolov5s.pt", tmp_path / "ours.onnx")).graph
    first = graph.node[:3]
    assert [node.name for node in first] == ["/model.0/conv/Conv", "/model.0/act/Sigmoid", "/model.0/act/Mul"]
    assert first[0].input[1] == "model.0.conv.weight"
    assert not [node for node in graph.node if node.op_type in ("BatchNormalization", "Constant", "Shape", "Identity")]


def test_yolov5s_takes_at_most_5_seconds_and_500_mb_and_no_torch(models, tmp_path):
    code = (
        "import sys; from pathlib import Path; from polyyolo.models.checkpoint import convert;"
        "convert(Path(sys.argv[1]), Path(sys.argv[2]));"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0], 'torch' in sys.modules)"
    )
    argv = [sys.executable, "-c", code, str(models / "yolov5s.pt"), str(tmp_path / "x.onnx")]
    before = time.perf_counter()
    kilobytes, torch = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    assert time.perf_counter() - before < 5
    assert int(kilobytes) < 500_000
    assert torch == "False"
