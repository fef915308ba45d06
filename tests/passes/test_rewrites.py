"""The small passes: each does what it says, keeps its promise on numbers, and leaves the model that went in alone."""

import numpy as np
import onnx
import pytest

from polyyolo.errors import InputError
from polyyolo.models.heads import recognise
from polyyolo.models.metadata import metadata_of
from polyyolo.models.spec import load
from polyyolo.passes import drop_outputs, fold_constants, leakyrelu_to_relu, metadata, rename, simplify
from polyyolo.passes.apply import PASSES
from polyyolo.records import HeadKind

TWO_OUTPUTS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,64,64] x) => (float[1,3,64,64] y, float[1,3,64,64] z)
{
  y = LeakyRelu <alpha = 0.1> (x)
  z = Sigmoid(x)
}
"""


@pytest.fixture
def small():
    return onnx.parser.parse_model(TWO_OUTPUTS)


def names(values):
    return [value.name for value in values]


@pytest.mark.parametrize("step", [simplify.run, fold_constants.run])
@pytest.mark.parametrize("name", ["yolov5s-640.onnx", "yolov5s-dyn.onnx"])
def test_folding_and_simplifying_keep_numbers_names_and_metadata(models, same, step, name):
    model = load(models / name)

    result = step(model)

    assert result.changed
    assert len(result.model.graph.node) < len(model.graph.node)
    assert names(result.model.graph.output) == names(model.graph.output)
    assert metadata_of(result.model) == metadata_of(model)
    same(model, result.model, (320, 320) if "dyn" in name else (640, 640))


@pytest.mark.parametrize("step", [simplify.run, fold_constants.run])
def test_a_model_that_was_simplified_before_is_given_back_as_it_was(models, step):
    model = load(models / "yolov8n-640.onnx")

    result = step(model)

    assert (result.changed, result.model is model) == (False, True)


@pytest.mark.parametrize(
    ("part", "axes"), [("<start = 1, end = 3>", [3, 64]), ("<end = -3>", [1]), ("<start = -1>", [48])]
)
def test_a_shape_of_some_axes_is_folded_to_those(part, axes):
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,64,48] x) => (int64[{len(axes)}] y) {{ s = Shape{part}(x)  y = Neg(s) }}""")

    folded = fold_constants.run(model).model

    (axes_negated,) = folded.graph.initializer or [node.attribute[0].t for node in folded.graph.node]
    assert onnx.numpy_helper.to_array(axes_negated).tolist() == [-axis for axis in axes]


def test_a_shape_of_open_axes_is_not_folded(infer, noise):
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[batch,3,height,48] x) => (int64[2] y) { one = Shape<start = 0, end = 1>(x)
        three = Shape<start = 1, end = 2>(x)  both = Concat<axis = 0>(one, three)  y = Neg(both) }""")

    folded = fold_constants.run(model).model

    assert infer(folded, noise(model, 2, (64, 48)))["y"].tolist() == [-2, -3]


def test_folding_leaves_q_dq_of_weights_for_tensorrt_to_read():
    weight = onnx.numpy_helper.from_array(np.ones((4, 3, 1, 1), np.int8), "w")
    scale = onnx.numpy_helper.from_array(np.array(0.5, np.float32), "s")
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,64,64] x, int8[4,3,1,1] w, float s) => (float[1,4,64,64] y)
        {
          f = DequantizeLinear(w, s)
          y = Conv(x, f)
        }
    """)
    model.graph.initializer.extend([weight, scale])
    del model.graph.input[1:]

    result = fold_constants.run(model)

    assert [node.op_type for node in result.model.graph.node] == ["DequantizeLinear", "Conv"]
    assert not result.changed


def test_every_leaky_relu_becomes_a_relu_and_the_darknet_head_is_still_known(models):
    model = load(models / "yolov4-tiny-416.onnx")
    before = recognise(model)

    result = leakyrelu_to_relu.run(model)

    ops = [node.op_type for node in result.model.graph.node]
    head = recognise(result.model)
    assert (ops.count("LeakyRelu"), ops.count("Relu")) == (0, 19)
    assert (head.kind, head.anchors, head.scale_xy) == (HeadKind.DARKNET_RAW, before.anchors, before.scale_xy)


def test_relu_clamps_what_leaky_relu_let_through(small, infer):
    batch = np.full((1, 3, 64, 64), -1, np.float32)

    result = leakyrelu_to_relu.run(small)

    assert infer(small, batch)["y"].max() == pytest.approx(-0.1)
    assert infer(result.model, batch)["y"].max() == 0


def test_inputs_and_outputs_get_their_new_names_and_keep_their_numbers(models, infer, noise):
    model = load(models / "yolov8n-640.onnx")

    renamed = rename.run(model, inputs={"images": "pixels"}, outputs={"output0": "boxes"}).model

    assert (names(renamed.graph.input), names(renamed.graph.output)) == (["pixels"], ["boxes"])
    batch = noise(model, 1, (640, 640))
    assert np.array_equal(infer(model, batch)["output0"], infer(renamed, batch)["boxes"])


def test_two_outputs_can_swap_names(small):
    swapped = rename.run(small, outputs={"y": "z", "z": "y"}).model

    assert names(swapped.graph.output) == ["z", "y"]
    assert [(node.op_type, node.output[0]) for node in swapped.graph.node] == [("LeakyRelu", "z"), ("Sigmoid", "y")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": {"image": "pixels"}}, "no input 'image'"),
        ({"outputs": {"x": "pixels"}}, "no output 'x'"),
        ({"outputs": {"y": "z"}}, "'y' cannot become 'z': another tensor has that name"),
        ({"outputs": {"y": "same", "z": "same"}}, "'z' cannot become 'same'"),
        ({"inputs": {"x": ""}}, "that is no name"),
    ],
)
def test_names_that_are_unknown_or_taken_are_refused(small, options, message):
    with pytest.raises(InputError, match=message):
        rename.run(small, **options)


def test_renaming_to_the_same_name_changes_nothing(small):
    assert not rename.run(small, inputs={"x": "x"}).changed


@pytest.mark.parametrize("options", [{"drop": ("y",)}, {"keep": ("z",)}])
def test_a_dropped_output_takes_what_only_it_needs_along(small, options):
    result = drop_outputs.run(small, **options)

    assert names(result.model.graph.output) == ["z"]
    assert [node.op_type for node in result.model.graph.node] == ["Sigmoid"]


def test_outputs_that_the_boxes_are_not_read_from_are_dropped_unasked(models):
    model = load(models / "yolov8n-640.onnx")
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(model.graph.node[4].output[0], onnx.TensorProto.FLOAT, None)
    )

    assert names(drop_outputs.run(model).model.graph.output) == ["output0"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": ("q",)}, "no output 'q'"),
        ({"drop": ("y", "z")}, "leaves no model"),
        ({"drop": ("y",), "keep": ("z",)}, "both given"),
        ({}, "no head was recognised"),
    ],
)
def test_outputs_that_cannot_be_dropped_are_refused(small, options, message):
    with pytest.raises(InputError, match=message):
        drop_outputs.run(small, **options)


def test_metadata_is_stripped_but_for_what_is_kept_and_set(small):
    onnx.helper.set_model_props(small, {"names": "['cat']", "author": "me"})
    small.graph.node[0].doc_string = "where it came from"

    result = metadata.run(small, strip=True, keep=("names",), entries={"stride": "32"})

    assert metadata_of(result.model) == {"names": "['cat']", "stride": "32"}
    assert result.model.graph.node[0].doc_string == ""
    assert result.changed


def test_metadata_that_is_not_there_cannot_be_kept(small):
    with pytest.raises(InputError, match="no 'names'"):
        metadata.run(small, strip=True, keep=("names",))


def test_setting_what_is_set_already_changes_nothing(small):
    onnx.helper.set_model_props(small, {"stride": "32"})

    assert not metadata.run(small, entries={"stride": "32"}).changed


@pytest.mark.parametrize("name", sorted(PASSES))
def test_no_pass_touches_the_model_that_went_in_and_the_checker_accepts_every_result(models, name):
    options = {
        "rename": {"outputs": {"output0": "boxes"}},
        "shape": {"batch": 2},
        "metadata": {"strip": True},
    }.get(name, {})
    model = load(models / "yolov8n-640.onnx")
    before = model.SerializeToString()

    result = PASSES[name](model, **options)

    assert model.SerializeToString() == before
    onnx.checker.check_model(result.model, full_check=True)


def test_what_folding_adds_gets_a_name_of_its_own(infer, noise):
    """Exporters often call a node as its output is called."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[batch,3,64,48] x) => (int64[1] y) { one = Shape<start = 0, end = 1>(x)  y = Neg(one) }""")
    model.graph.node[0].name = "one"

    folded = fold_constants.run(model).model

    assert infer(folded, noise(model, 2, (64, 48)))["y"].tolist() == [-2]


def test_maps_that_are_left_keep_their_own_anchors(models):
    raw = PASSES["cut-decode"](load(models / "yolov5s-dyn.onnx")).model
    before = recognise(raw)

    left = recognise(drop_outputs.run(raw, drop=[before.outputs[0]]).model)

    assert left.strides == before.strides[1:]
    assert left.anchors == before.anchors[1:]
    assert "anchors from the metadata" in left.why
