"""Any number of pictures go through a model of any batch, and boxes come back on the pictures."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from polyyolo import progress
from polyyolo.errors import ModelError, PictureError
from polyyolo.images.letterbox import Fit
from polyyolo.models.spec import read_spec
from polyyolo.records import Head, HeadKind, Preprocessing
from polyyolo.verification.inference import DISPLAY, Runner, batches, find


def model(tmp_path, batch):
    """Gives the mean of each picture's channels, for ``batch`` pictures at once."""
    path = tmp_path / f"{batch}.onnx"
    text = f"""<ir_version: 8, opset_import: ["" : 17]> g (float[{batch},3,8,8] images) => (float[{batch},3,1,1] out) {{
        out = ReduceMean<axes = [2, 3]>(images)
    }}"""
    onnx.save(onnx.parser.parse_model(text), path)
    return read_spec(path)


@pytest.mark.parametrize("batch", [1, 2, 4, 8, "N"])
def test_every_picture_gets_its_own_result_whatever_the_models_batch(tmp_path, batch):
    pictures = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1) * np.ones((5, 3, 8, 8), np.float32)

    with Runner(model(tmp_path, batch)) as runner:
        outputs = runner.infer(pictures)

    assert outputs["out"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_a_model_that_takes_more_than_a_picture_is_not_run(tmp_path):
    spec = model(tmp_path, 1)
    graph = onnx.load(spec.path)
    graph.graph.input.append(onnx.helper.make_tensor_value_info("scale", onnx.TensorProto.FLOAT, [2]))
    onnx.save(graph, spec.path)

    with pytest.raises(ModelError, match=r"1\.onnx takes more than a picture: scale float32 \(2\)"):
        Runner(read_spec(spec.path))


def test_boxes_come_back_on_the_picture_through_the_letterbox():
    """A picture of 100x200 in a tensor of 64x64 is 32 high and starts at row 16."""
    rows = np.zeros((1, 1, 6), np.float32)
    rows[0, 0] = [32, 32, 32, 16, 1, 0.9]
    fit = Fit(source=(100, 200), scale=(0.32, 0.32), offset=(16, 0))

    (boxes,) = find({"out": rows}, Head(HeadKind.V5, classes=1, outputs=("out",)), [fit], DISPLAY)

    np.testing.assert_allclose(boxes.xyxy, [[50, 25, 150, 75]], atol=1e-4)


def test_boxes_in_the_padding_are_no_boxes():
    """Cut at the picture's edge they would have no area, and would not even agree with themselves."""
    rows = np.zeros((1, 2, 6), np.float32)
    rows[0] = [[32, 60, 32, 8, 1, 0.9], [32, 44, 32, 16, 1, 0.8]]
    fit = Fit(source=(100, 200), scale=(0.32, 0.32), offset=(16, 0))

    (boxes,) = find({"out": rows}, Head(HeadKind.V5, classes=1, outputs=("out",)), [fit], DISPLAY)

    np.testing.assert_allclose(boxes.scores, [0.8])


def test_an_end_to_end_model_keeps_what_its_own_nms_kept():
    rows = np.zeros((1, 3, 6), np.float32)
    rows[0, :2] = [[0, 0, 30, 30, 0.5, 0], [0, 0, 30, 31, 0.9, 0]]
    head = Head(HeadKind.END_TO_END, classes=1, outputs=("out",))

    (boxes,) = find({"out": rows}, head, [Fit((64, 64), (1, 1), (0, 0))], DISPLAY)

    np.testing.assert_allclose(boxes.scores, [0.9, 0.5])


def test_progress_counts_the_pictures(val):
    class Counter(progress.Silent):
        def __init__(self):
            self.events = []

        def started(self, step, total):
            self.events.append((step, total))

        def advanced(self, step, count):
            self.events.append((step, count))

        def finished(self, step):
            self.events.append((step, "end"))

    pictures = sorted((val / "images").iterdir())[:3]
    counter = Counter()
    with progress.listening(counter):
        shapes = [tensors.shape for tensors, _ in batches(pictures, Preprocessing((64, 64)), 2, "verify")]

    assert shapes == [(2, 3, 64, 64), (1, 3, 64, 64)]
    assert counter.events == [("verify", 3), ("verify", 2), ("verify", 1), ("verify", "end")]


def test_a_picture_that_is_gone_is_named():
    with pytest.raises(PictureError, match=r"gone\.jpg"):
        list(batches([Path("gone.jpg")], Preprocessing((64, 64)), 1, "verify"))
