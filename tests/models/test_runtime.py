"""ONNX Runtime opens every model that ONNX knows how to store."""

import os

import numpy as np
import onnx
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.runtime import open_session


def stored(model, folder, name="m.onnx", size_threshold=0):
    """Write a model with its weights in another file; give where it is."""
    path = folder / name
    onnx.save_model(
        onnx.load(model), path, save_as_external_data=True, location="m.weights", size_threshold=size_threshold
    )
    return path


def seen(path):
    return open_session(path).run(None, {"images": np.ones((1, 3, 64, 64), np.float32)})[0]


@pytest.mark.parametrize("size_threshold", [0, 1024])
def test_weights_may_lie_in_another_file_and_shapes_with_them(little_yolo, tmp_path, size_threshold):
    path = stored(little_yolo, tmp_path, size_threshold=size_threshold)

    assert np.array_equal(seen(path), seen(little_yolo))


def test_a_name_that_is_no_utf8_is_no_obstacle_with_or_without_another_file(little_yolo, tmp_path):
    alone = tmp_path / os.fsdecode(b"caf\xe9.onnx")
    alone.write_bytes(little_yolo.read_bytes())
    scattered = stored(little_yolo, tmp_path, size_threshold=1024).rename(tmp_path / os.fsdecode(b"th\xe9.onnx"))

    assert np.array_equal(seen(alone), seen(little_yolo))
    assert np.array_equal(seen(scattered), seen(little_yolo))


def test_a_plugin_of_tensorrt_is_named_with_what_to_do(little_yolo):
    """Older exports have TensorRT's older NMS in them, and no ONNX Runtime will ever know that."""
    model = onnx.load(little_yolo)
    model.graph.node.add(op_type="BatchedNMSDynamic_TRT", domain="TRT", input=["images"], output=["found"])
    model.opset_import.add(domain="TRT", version=1)

    with pytest.raises(ModelError) as error:
        open_session(model.SerializeToString())

    assert "export without TRT:BatchedNMSDynamic_TRT" in error.value.fix
