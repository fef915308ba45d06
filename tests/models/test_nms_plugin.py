"""TensorRT's NMS in ONNX Runtime: held against NMS one box after the other, and through a whole run."""

import numpy as np
import onnx
import pytest

from polyyolo import pipeline
from polyyolo.engines import toolchain
from polyyolo.errors import ModelError, ToolchainError
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import read_spec
from polyyolo.records import HeadKind, Request, Toolchain, ToolchainKind
from polyyolo.verification.boxes import overlaps

ROWS, CLASSES = 12, 3
OUTPUTS = "int32[batch,1] number, float[batch,12,4] boxes, float[batch,12] scores, int32[batch,12] classes"


GIVEN = {
    "score_threshold": 0.3,
    "iou_threshold": 0.4,
    "max_output_boxes": ROWS,
    "background_class": -1,
    "score_activation": 0,
    "box_coding": 0,
}


def nms(*, without=(), **options):
    """The plugin alone, between inputs and outputs."""
    given = {name: value for name, value in {**GIVEN, **options}.items() if name not in without}
    interface = f"nms (float[batch,many,4] given, float[batch,many,3] chances) => ({OUTPUTS})"
    model = onnx.parser.parse_model(
        f'<ir_version: 7, opset_import: ["" : 12, "TRT" : 1]> {interface}'
        "{ number, boxes, scores, classes = TRT.EfficientNMS_TRT (given, chances) }"
    )
    model.graph.node[0].attribute.extend(onnx.helper.make_attribute(name, value) for name, value in given.items())
    return model.SerializeToString()


def one_by_one(corners, chances, *, agnostic):
    """Take the best candidate that overlaps none taken before, as often as there is one: (score, class, box)."""
    taken = []
    for place in np.argsort(-chances, axis=None, kind="stable"):
        box, label = np.unravel_index(place, chances.shape)
        rivals = [other for _, of, other in taken if agnostic or of == label]
        clear = not rivals or overlaps(corners[[box]], corners[rivals]).max() < 0.4
        if chances[box, label] >= 0.3 and clear and len(taken) < ROWS:
            taken.append((float(chances[box, label]), int(label), int(box)))
    return taken


@pytest.mark.parametrize("agnostic", [0, 1])
@pytest.mark.parametrize("coding", [0, 1])
@pytest.mark.parametrize("activation", [0, 1])
def test_onnx_runtime_finds_what_nms_finds_box_by_box(agnostic, coding, activation):
    generator = np.random.default_rng(agnostic)
    low = generator.uniform(0, 50, (2, 40, 2)).astype(np.float32)
    size = generator.uniform(5, 40, (2, 40, 2)).astype(np.float32)
    corners = np.concatenate([low, low + size], axis=2)
    chances = generator.uniform(0.01, 0.99, (2, 40, CLASSES)).astype(np.float32)
    chances[1] *= 0.33  # little is left of the second picture: its outputs are filled up
    session = open_session(nms(class_agnostic=agnostic, box_coding=coding, score_activation=activation))

    number, boxes, scores, classes = session.run(
        None,
        {
            "given": np.concatenate([low + size / 2, size], axis=2) if coding else corners,
            "chances": np.log(chances / (1 - chances)) if activation else chances,
        },
    )

    for picture in range(2):
        wanted = one_by_one(corners[picture], chances[picture], agnostic=bool(agnostic))
        count = int(number[picture, 0])
        assert count == len(wanted) > 0
        assert scores[picture, :count] == pytest.approx([score for score, _, _ in wanted], abs=1e-5)
        assert classes[picture, :count].tolist() == [label for _, label, _ in wanted]
        assert boxes[picture, :count] == pytest.approx(corners[picture][[box for _, _, box in wanted]], abs=1e-4)
        assert not scores[picture, count:].any()
    assert number[1, 0] < ROWS


def test_tensorrt_for_rtx_which_has_not_the_plugin_is_refused_before_anything_is_done(
    little_deployed, little_pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr(toolchain, "find", lambda _: Toolchain(ToolchainKind.RTX, "1.7"))

    with pytest.raises(ToolchainError, match="EfficientNMS_TRT, which TensorRT for RTX has not"):
        pipeline.engine(Request(str(little_deployed), little_pictures, output=tmp_path / "run"))

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", GIVEN)
def test_an_attribute_that_tensorrt_wants_to_be_told_is_missed_before_it_does(name):
    with pytest.raises(ModelError, match=f"EfficientNMS_TRT lacks {name}, without which TensorRT makes no such plugin"):
        open_session(nms(without=(name,)))


def test_nothing_above_the_threshold_is_no_box():
    number, boxes, scores, _ = open_session(nms()).run(
        None, {"given": np.ones((1, 5, 4), np.float32), "chances": np.zeros((1, 5, CLASSES), np.float32)}
    )

    assert number.tolist() == [[0]]
    assert not boxes.any()
    assert not scores.any()


def test_a_model_exported_for_tensorrt_is_calibrated_and_compared_and_keeps_its_plugin(
    little_deployed, little_pictures, tmp_path
):
    head = read_spec(little_deployed).head
    asked = Request(str(little_deployed), little_pictures, toolchain="none", output=tmp_path / "run", count=16)
    run = pipeline.engine(asked)

    assert (head.kind, head.outputs) == (HeadKind.END_TO_END, ("number", "places", "chances", "labels"))
    assert run.fidelity.agreements[0].f1 > 0.5
    prepared = onnx.load(tmp_path / "run" / "model.int8.onnx")
    assert [node.op_type for node in prepared.graph.node].count("EfficientNMS_TRT") == 1
    assert not prepared.functions
    assert any(node.op_type == "QuantizeLinear" for node in prepared.graph.node)
