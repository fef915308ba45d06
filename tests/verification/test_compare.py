"""What a changed model keeps of its original."""

import numpy as np
import onnx
import pytest
from attrs import evolve
from onnx import numpy_helper

from polyyolo import progress
from polyyolo.errors import ModelError, PictureError
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.sources import find_pictures
from polyyolo.models.spec import read_spec
from polyyolo.records import Preprocessing
from polyyolo.verification.compare import side_by_side
from polyyolo.verification.labelled import Labelled, read_labelled


@pytest.fixture(scope="module")
def tiny(models):
    return read_spec(models / "yolov4-tiny-416.onnx")


@pytest.fixture(scope="module")
def coarse(tiny, tmp_path_factory):
    """YOLOv4-tiny with its large weights rounded to INT8, one scale a tensor: worse, but still itself."""
    model = onnx.load(tiny.path)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.ndim == 4:
            step = np.abs(values).max() / 127
            weight.CopyFrom(numpy_helper.from_array(np.round(values / step) * step, weight.name))
    path = tmp_path_factory.mktemp("coarse") / "coarse.onnx"
    onnx.save(model, path)
    return read_spec(path)


@pytest.fixture(scope="module")
def few(val):
    """The first twelve labelled pictures."""
    labelled = read_labelled(val, classes=80)
    return Labelled(labelled.pictures[:12], labelled.truths[:12], relative=True)


def test_a_model_agrees_with_itself_in_everything(tiny, few):
    fidelity = side_by_side(tiny, tiny, preprocessing_for(tiny, (416, 416)), labelled=few, held_out=True).fidelity

    assert fidelity.pictures == 12
    assert fidelity.held_out
    assert fidelity.signal_to_noise_db == {"head32": 200, "head16": 200}
    assert [(result.iou, result.f1) for result in fidelity.agreements] == [(0.5, 1), (0.9, 1)]
    assert fidelity.agreements[0].reference_boxes > 20
    assert fidelity.reference == fidelity.candidate
    assert fidelity.reference.map50_95 > 0.2
    assert (fidelity.drop_points, fidelity.drop_error) == (0, 0)


def test_labels_of_which_the_model_finds_hardly_any_are_a_warning(tiny, few, ear):
    other = evolve(few, truths=tuple(tuple(evolve(each, label=79 - each.label) for each in own) for own in few.truths))

    side_by_side(tiny, tiny, preprocessing_for(tiny, (416, 416)), labelled=other)

    ((message, fix),) = ear.warnings
    assert message.startswith("the model that is compared with reaches an mAP50-95 of 0.00")
    assert "of the model's classes in the model's order" in fix


def test_a_coarser_model_agrees_less_and_less_where_more_is_asked(tiny, coarse, few):
    comparison = side_by_side(tiny, coarse, preprocessing_for(tiny, (416, 416)), labelled=few)

    fidelity = comparison.fidelity
    loose, strict = fidelity.agreements
    assert 0.3 < strict.f1 < loose.f1 < 0.97
    assert all(3 < decibels < 40 for decibels in fidelity.signal_to_noise_db.values())
    assert fidelity.drop_points != 0
    assert fidelity.drop_error > 0
    assert not fidelity.held_out
    assert [pair.picture for pair in comparison.pairs] == list(few.pictures)
    assert sum(len(pair.candidate) for pair in comparison.pairs) == loose.candidate_boxes


def test_without_labels_there_is_agreement_but_no_accuracy(tiny, val):
    pictures = find_pictures(val / "images")[:2]

    fidelity = side_by_side(tiny, tiny, preprocessing_for(tiny, (416, 416)), pictures=pictures).fidelity

    assert fidelity.pictures == 2
    assert fidelity.agreements[1].f1 == 1
    assert fidelity.reference is None
    assert fidelity.drop_points is None


def saved(tmp_path, name, body):
    path = tmp_path / f"{name}.onnx"
    text = (
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[2,3,32,32] images) => (float[2,3,32,32] out) {{ {body} }}'
    )
    onnx.save(onnx.parser.parse_model(text), path)
    return read_spec(path)


def test_a_model_that_is_no_yolo_is_compared_by_its_outputs_alone(tmp_path, few):
    """Three pictures through a model of batch 2: the fourth place is filled up and not counted."""
    reference = saved(tmp_path, "one", "out = Relu(images)")
    candidate = saved(tmp_path, "two", "a = Relu(images) out = Add(a, a)")
    warnings = []

    class Ear(progress.Silent):
        def warned(self, message, fix):
            warnings.append((message, fix))

    three = Labelled(few.pictures[:3], few.truths[:3], relative=True)
    with progress.listening(Ear()):
        comparison = side_by_side(reference, candidate, Preprocessing((32, 32)), labelled=three)

    assert comparison.fidelity.signal_to_noise_db == {"out": 0}
    assert comparison.fidelity.agreements == ()
    assert comparison.pairs == ()
    assert warnings == [("labels are not used: no YOLO head was recognised", "name the head's family")]


def test_models_that_share_nothing_are_refused(tmp_path, models, few):
    stranger = saved(tmp_path, "one", "out = Relu(images)")
    tiny = read_spec(models / "yolov4-tiny-416.onnx")

    with pytest.raises(ModelError, match="share no output"):
        side_by_side(tiny, stranger, Preprocessing((416, 416)), pictures=few.pictures)


def test_no_picture_is_no_agreement(tiny):
    with pytest.raises(PictureError, match="there is no picture"):
        side_by_side(tiny, tiny, Preprocessing((416, 416)))


def test_models_of_other_classes_are_refused(tiny, few):
    fewer = evolve(tiny, head=evolve(tiny.head, classes=20))

    with pytest.raises(ModelError, match=r"has 20 classes, and yolov4-tiny-416\.onnx 80"):
        side_by_side(tiny, fewer, Preprocessing((416, 416)), pictures=few.pictures)
