"""Models run through Polygraphy's runner, silently and rightly."""

import numpy as np
import onnx
import pytest

from polyyolo.errors import ModelError
from polyyolo.verification.session import Session


def saved(tmp_path, text):
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    return path


HALF = """<ir_version: 8, opset_import: ["" : 17]> g (float16[1,3,2,2] images) => (float16[1,3,2,2] out) {
    out = Relu(images)
}"""

PADDED = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,1,2,2] images) => (float[1,1,2,2] out)
<int64[8] pads = {0, 0, 0, 0, 0, 0, 1, 1}> {
    padded = Pad(images, pads)
    out = MaxPool<kernel_shape = [2, 2], strides = [1, 1]>(padded)
}"""


def test_a_model_that_wants_float16_gets_it(tmp_path):
    with Session(saved(tmp_path, HALF)) as session:
        outputs = session.infer({"images": np.full((1, 3, 2, 2), 0.1, np.float32)})

    assert outputs["out"].dtype == np.float16
    np.testing.assert_array_equal(outputs["out"], np.float16(0.1))


def test_a_zero_pad_before_a_max_pool_counts_as_zero(tmp_path):
    """ONNX Runtime folds it into the pool's own padding, which is minus infinity; YOLOv3-tiny has it."""
    with Session(saved(tmp_path, PADDED)) as session:
        outputs = session.infer({"images": np.full((1, 1, 2, 2), -5, np.float32)})

    assert outputs["out"].ravel().tolist() == [-5, 0, 0, 0]


def test_nothing_is_printed(models, capfd):
    with Session(models / "yolov4-tiny-416.onnx", threads=1) as session:
        shapes = {name: array.shape for name, array in session.infer({"images": np.zeros((1, 3, 416, 416))}).items()}
    del session

    assert shapes == {"head32": (1, 255, 13, 13), "head16": (1, 255, 26, 26)}
    assert capfd.readouterr() == ("", "")


def test_what_onnx_runtime_cannot_load_is_the_users_model(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")

    with pytest.raises(ModelError, match=r"ONNX Runtime cannot load .*broken\.onnx") as error:
        Session(path)

    assert error.value.fix == "export the model again, or upgrade onnxruntime"


def test_arrays_that_do_not_fit_are_told_with_their_shape(tmp_path):
    with Session(saved(tmp_path, PADDED)) as session, pytest.raises(ModelError, match=r"on images \(1, 1, 3, 3\)"):
        session.infer({"images": np.zeros((1, 1, 3, 3), np.float32)})
