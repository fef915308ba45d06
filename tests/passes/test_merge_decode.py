"""Merging the decode joins the maps first, computes everything once, and gives the same bits."""

import numpy as np
import onnx
import pytest

from polyyolo.models.heads import recognise
from polyyolo.models.spec import load, read_spec
from polyyolo.passes import cut_decode, merge_decode, shape
from polyyolo.passes.apply import Step, apply

from .conftest import ANCHORS, BY_SLICE, assert_same_bits, decode_of, outputs_of, yolov5

APART = {"Concat": 4, "Reshape": 6, "Transpose": 3, "Sigmoid": 3, "Split": 3, "Mul": 12, "Add": 3, "Pow": 3}
MERGED = {"Concat": 2, "Reshape": 6, "Transpose": 3, "Sigmoid": 1, "Split": 1, "Mul": 4, "Add": 1, "Pow": 1}
"""How often each operator is in YOLOv5's decode of three maps."""


def read_through(model, nodes, **constants):
    """Let all that reads the picture read the tensor ``back``, which ``nodes`` make of it."""
    for node in model.graph.node:
        node.input[:] = ["back" if name == "images" else name for name in node.input]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())


@pytest.mark.parametrize("batch", ["1", "3", "batch"])
def test_three_decodes_become_one_that_gives_the_same_bits(infer, noise, batch):
    model = yolov5(batch=batch)

    result = merge_decode.run(model)

    assert decode_of(model) == APART
    assert decode_of(result.model) == MERGED
    assert result.notes == ("40 nodes became 22",)
    assert (outputs_of(result.model), result.model.opset_import) == (outputs_of(model), model.opset_import)
    onnx.checker.check_model(result.model, full_check=True)
    assert_same_bits(infer, model, result.model, noise(model, 1 if batch == "1" else 3, (64, 64)))


def test_slices_of_what_is_read_three_times_become_one_decode_too(infer, noise):
    model = yolov5(BY_SLICE)

    merged = merge_decode.run(model).model

    assert decode_of(merged) == {
        "Concat": 2,
        "Reshape": 6,
        "Transpose": 3,
        "Sigmoid": 1,
        "Slice": 3,
        "Mul": 2,
        "Sub": 1,
        "Div": 1,
    }
    assert_same_bits(infer, model, merged, noise(model, 1, (64, 64)))


def test_constants_are_joined_row_by_row_and_one_number_for_all_stays_one():
    merged = merge_decode.run(yolov5()).model

    shapes = {tensor.name: tuple(tensor.dims) for tensor in merged.graph.initializer}
    arithmetic = [node for node in merged.graph.node if node.op_type in ("Add", "Mul", "Pow")]
    assert sorted((node.op_type, shapes[node.input[1]]) for node in arithmetic) == [
        *[("Add", (1, 168, 2)), ("Mul", ()), ("Mul", ()), ("Mul", (1, 168, 2)), ("Mul", (1, 168, 2)), ("Pow", ())],
    ]


@pytest.mark.parametrize(
    ("here", "there", "nodes"),
    [
        ("Concat<axis = 4>(centre{s}, side{s}, scores{s})", "Concat<axis = 4>(side{s}, centre{s}, scores{s})", 40),
        ("Add(twice{s}, grid{s})", "Add(grid{s}, twice{s})", 40),
        ("Pow(double{s}, two)", "Mul(double{s}, double{s})", 40),
        ("Sigmoid(last{s})", "Exp(last{s})", 24),
        ("perm = [0, 1, 3, 4, 2]", "perm = [0, 1, 4, 3, 2]", 22),
    ],
)
def test_only_what_all_branches_do_alike_is_merged(infer, noise, here, there, nodes):
    model = yolov5(one_differs=(here, there))

    result = merge_decode.run(model)

    assert len(result.model.graph.node) == nodes
    assert (result.changed, result.model is model) == (nodes < 40, nodes == 40)
    assert_same_bits(infer, model, result.model, noise(model, 1, (64, 64)))


def test_maps_that_are_outputs_as_well_stay_so(infer, noise):
    model = yolov5(outputs="float[{batch},168,7] output0, float[{batch},2,8,8,7] last8")

    merged = merge_decode.run(model).model

    assert decode_of(merged)["Sigmoid"] == 1
    assert_same_bits(infer, model, merged, noise(model, 1, (64, 64)))


def test_nothing_is_computed_twice_for_something_else_that_reads_it():
    model = yolov5(outputs="float[{batch},168,7] output0, float[{batch},2,8,8,7] sure8")

    assert not merge_decode.run(model).changed


def test_what_comes_before_the_last_convolutions_is_not_touched():
    """Concat(Sigmoid(x), Sigmoid(y)) is Sigmoid(Concat(x, y)) there, too, but belongs to other layers."""
    model = yolov5()
    read_through(
        model,
        [
            onnx.helper.make_node("Sigmoid", ["images"], ["one"]),
            onnx.helper.make_node("Sigmoid", ["images"], ["other"]),
            onnx.helper.make_node("Concat", ["one", "other"], ["both"], axis=1),
            onnx.helper.make_node("Conv", ["both", "mean"], ["back"]),
        ],
        mean=np.full((3, 6, 1, 1), 1 / 6, np.float32),
    )

    merged = merge_decode.run(model).model

    assert [(node.op_type, *node.input) for node in merged.graph.node[:4]] == [
        ("Sigmoid", "images"),
        ("Sigmoid", "images"),
        ("Concat", "one", "other"),
        ("Conv", "both", "mean"),
    ]
    assert decode_of(merged) == MERGED


def test_a_second_run_changes_nothing():
    merged = merge_decode.run(yolov5()).model

    again = merge_decode.run(merged)

    assert (again.changed, again.model is merged) == (False, True)


def test_anchors_are_still_known_when_the_decode_is_cut_afterwards():
    merged = merge_decode.run(yolov5()).model

    head = recognise(cut_decode.run(merged).model)

    assert head.strides == (8, 16, 32)
    assert head.anchors == tuple(ANCHORS.values())
    assert recognise(merged) == recognise(yolov5())


def test_the_decode_of_yolov5_loses_18_operators_and_no_bit(models, tmp_path, infer, noise):
    spec = read_spec(models / "yolov5s-640.onnx")

    made = apply(spec, [Step("simplify"), Step("merge-decode")], tmp_path / "merged.onnx")

    before, after = load(models / "yolov5s-640.onnx"), load(made.path)
    assert made.history == ("simplify", "merge-decode")
    assert (made.head, made.inputs, made.outputs) == (spec.head, spec.inputs, spec.outputs)
    assert len(after.graph.node) == 236 - 18
    assert decode_of(after) == MERGED
    assert_same_bits(infer, before, after, noise(before, 1, (640, 640)))


def test_grids_that_an_export_computes_are_folded_first(models):
    result = merge_decode.run(load(models / "yolov5s-640.onnx"))

    assert result.notes == ("341 nodes became 218",)


@pytest.mark.parametrize("batch", [2, "dynamic"])
def test_a_batch_is_kept_fixed_or_open(models, infer, noise, batch):
    model = shape.run(load(models / "yolov5s-640.onnx"), batch=batch).model

    merged = merge_decode.run(model).model

    assert outputs_of(merged) == outputs_of(model)
    assert_same_bits(infer, model, merged, noise(model, 2, (640, 640)))


@pytest.mark.parametrize(
    "name",
    ["yolov5s-dyn.onnx", "yolov5s-640-3head.onnx", "yolov8n-640.onnx", "yolov8n-dyn.onnx", "yolov4-tiny-416.onnx"],
)
def test_models_whose_grid_is_open_or_that_join_their_maps_already_are_left_as_they_are(models, name):
    model = load(models / name)

    result = merge_decode.run(model)

    assert (result.changed, result.model is model) == (False, True)


def test_q_dq_nodes_stay_where_they_are(infer, noise):
    model = yolov5()
    read_through(
        model,
        [
            onnx.helper.make_node("QuantizeLinear", ["images", "scale"], ["quantized"]),
            onnx.helper.make_node("DequantizeLinear", ["quantized", "scale"], ["back"]),
        ],
        scale=np.float32(1 / 255),
    )

    merged = merge_decode.run(model).model

    assert [node.op_type for node in merged.graph.node[:2]] == ["QuantizeLinear", "DequantizeLinear"]
    assert decode_of(merged) == MERGED
    assert_same_bits(infer, model, merged, noise(model, 1, (64, 64)))
