"""A merged decode of YOLOv5 is turned once, at its end, and gives the same bits."""

import numpy as np
import onnx
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.heads import recognise
from polyyolo.models.spec import load
from polyyolo.passes import cut_decode, merge_decode, shape, turn_late
from polyyolo.quantization.half import to_half

from .conftest import BY_SLICE, BY_SPLIT, assert_same_bits, decode_of, outputs_of, yolov5

LATE = {"Concat": 2, "Reshape": 3, "Sigmoid": 3, "Split": 1, "Mul": 4, "Add": 1, "Pow": 1, "Transpose": 1}
UNTURNED = "perm = [0, 1, 3, 4, 2]"


def merged(*args, **options):
    return merge_decode.run(yolov5(*args, **options)).model


@pytest.mark.parametrize("batch", ["1", "3", "batch"])
def test_three_turns_before_the_decode_become_one_behind_it(infer, noise, batch):
    model = merged(batch=batch)

    result = turn_late.run(model)

    assert result.changed
    assert decode_of(result.model) == LATE
    assert result.model.graph.node[-1].op_type == "Transpose"
    assert outputs_of(result.model) == outputs_of(model)
    onnx.checker.check_model(result.model, full_check=True)
    assert_same_bits(infer, model, result.model, noise(model, 1 if batch == "1" else 3, (64, 64)))


def test_slices_and_constants_of_all_kinds_are_turned_with_it(infer, noise):
    model = merged(BY_SLICE)

    turned = turn_late.run(model).model

    assert decode_of(turned)["Sigmoid"] == 3
    assert decode_of(turned)["Transpose"] == 1
    assert_same_bits(infer, model, turned, noise(model, 1, (64, 64)))


def test_the_sigmoid_of_a_part_is_all_that_is_taken_of_it():
    turned = turn_late.run(merged()).model

    split = next(node for node in turned.graph.node if node.op_type == "Split")
    readers = [node.op_type for name in split.output for node in turned.graph.node if name in node.input]
    assert readers == ["Sigmoid"] * 3


@pytest.mark.parametrize("function", ["Softmax<axis = -1>", "Softplus"])
def test_a_decode_that_is_not_merged_is_left_as_it_is(function):
    model = merged(BY_SPLIT.replace("Sigmoid(last{s})", f"{function}(last{{s}})"))

    result = turn_late.run(model)

    assert (result.changed, result.model is model) == (False, True)
    assert result.notes == (
        "the decode is left as it is: sure8 is not a map that becomes rows, or more than one reads it",
    )


def test_maps_that_something_else_reads_are_left_as_they_are():
    model = merged(outputs="float[{batch},168,7] output0, float[{batch},2,8,8,7] last8")

    result = turn_late.run(model)

    assert (result.changed, result.model is model) == (False, True)
    assert result.notes == (
        "the decode is left as it is: last8 is not a map that becomes rows, or more than one reads it",
    )


def test_a_decode_of_which_more_comes_out_is_left_as_it_is():
    model = merged()
    joined = next(node.output[0] for node in model.graph.node if node.op_type == "Sigmoid")
    model.graph.output.append(onnx.helper.make_tensor_value_info(joined, onnx.TensorProto.FLOAT, (1, 168, 7)))

    result = turn_late.run(model)

    assert result.notes == (f"the decode is left as it is: {joined} comes out of the model as well",)
    assert not result.changed


def test_maps_that_are_turned_in_another_way_are_left_as_they_are():
    model = merged(one_differs=(UNTURNED, "perm = [0, 1, 4, 3, 2]"))

    result = turn_late.run(model)

    assert not result.changed
    assert "does not hold an anchor after the other" in result.notes[0]


def test_a_second_run_changes_nothing():
    once = turn_late.run(merged()).model

    again = turn_late.run(once)

    assert (again.changed, again.model is once) == (False, True)


def test_the_head_is_known_as_before():
    model = merged()

    assert recognise(turn_late.run(model).model) == recognise(model)


def test_a_late_decode_is_not_cut_since_its_maps_have_another_order():
    with pytest.raises(ModelError, match="in another order") as refused:
        cut_decode.run(turn_late.run(merged()).model)

    assert "before turn-late" in str(refused.value.fix)


def test_cast_to_fp16_the_decode_stays_in_fp32(noise, infer):
    turned = turn_late.run(merged()).model

    half = to_half(turned, "images")

    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(half).graph.value_info
    }
    joined = next(node for node in half.graph.node if node.op_type == "Split")
    assert types[joined.output[0]] == onnx.TensorProto.FLOAT
    batch = noise(turned, 1, (64, 64))
    (expected,), (got,) = infer(turned, batch).values(), infer(half, batch).values()
    assert np.abs(expected - got).max() < 0.02 * np.abs(expected).max()


def test_yolov5s_keeps_every_bit(models, infer, noise):
    model = merge_decode.run(load(models / "yolov5s-640.onnx")).model

    turned = turn_late.run(model).model

    assert decode_of(turned) == LATE
    assert_same_bits(infer, model, turned, noise(model, 1, (640, 640)))


def test_its_batch_is_changed_afterwards_as_before(models, infer, noise):
    model = turn_late.run(merge_decode.run(load(models / "yolov5s-640.onnx")).model).model

    three = shape.run(model, batch=3).model

    given = noise(three, 3, (640, 640))
    (whole,) = infer(three, given).values()
    (first,) = infer(model, given[:1]).values()
    assert whole.shape == (3, 25200, 85)
    assert np.abs(whole[:1] - first).max() < 1e-3


@pytest.mark.parametrize(
    "name", ["yolov5s-dyn.onnx", "yolov5s-640-3head.onnx", "yolov8n-640.onnx", "yolov4-tiny-416.onnx"]
)
def test_other_models_are_left_as_they_are(models, name):
    model = load(models / name)

    result = turn_late.run(model)

    assert (result.changed, result.model is model) == (False, True)
