"""Batch and size, fixed or open: the same numbers a picture, or a refusal that says what to do."""

import numpy as np
import onnx
import pytest

from polyyolo.errors import InputError, ModelError
from polyyolo.models.spec import load
from polyyolo.passes import cut_decode, shape


def dims(values):
    return [[dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in values]


@pytest.fixture
def per_picture(infer, noise):
    """Whether a batch through ``after`` gives what its pictures give one by one through ``before``, to 1e-5."""

    def check(before: onnx.ModelProto, after: onnx.ModelProto, count: int, size: tuple[int, int]) -> None:
        batch = noise(before, count, size)
        together = infer(after, batch)
        single = [infer(before, batch[index : index + 1]) for index in range(count)]
        for name, got in together.items():
            expected = np.concatenate([outputs[name] for outputs in single])
            assert got.shape == expected.shape
            assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()

    return check


@pytest.mark.parametrize("name", ["yolov5s-640.onnx", "yolov8n-640.onnx"])
def test_a_decoded_model_exported_for_one_picture_takes_four(models, per_picture, name):
    model = load(models / name)

    result = shape.run(model, batch=4)

    assert result.changed
    assert dims(result.model.graph.input) == [[4, 3, 640, 640]]
    assert dims(result.model.graph.output)[0][0] == 4
    per_picture(model, result.model, 4, (640, 640))


@pytest.mark.parametrize("name", ["yolov5s-640.onnx", "yolov8n-640.onnx"])
def test_a_decoded_model_exported_for_one_picture_takes_any_number(models, per_picture, name):
    model = load(models / name)

    opened = shape.run(model, batch="dynamic").model

    assert dims(opened.graph.input) == [["batch", 3, 640, 640]]
    assert dims(opened.graph.output)[0][0] == "batch"
    per_picture(model, opened, 1, (640, 640))
    per_picture(model, opened, 3, (640, 640))


def test_a_batch_of_two_goes_back_to_one(models, per_picture):
    model = load(models / "yolov8n-640.onnx")
    two = shape.run(model, batch=2).model

    one = shape.run(two, batch=1).model

    assert dims(one.graph.output) == [[1, 84, 8400]]
    per_picture(model, one, 1, (640, 640))


def test_an_open_model_is_fixed_in_every_axis(models, per_picture):
    model = load(models / "yolov5s-dyn.onnx")

    fixed = shape.run(model, batch=2, size=(192, 320)).model

    assert dims(fixed.graph.input) == [[2, 3, 192, 320]]
    assert dims(fixed.graph.output) == [[2, 3780, 85]]
    per_picture(model, fixed, 2, (192, 320))


@pytest.mark.parametrize("name", ["yolov5s-640.onnx", "yolov8n-640.onnx"])
def test_a_grid_for_the_old_size_is_refused_and_the_way_out_works(models, name):
    model = load(models / name)
    with pytest.raises(ModelError, match="holds a grid") as error:
        shape.run(model, size=(320, 416))

    assert "cut-decode" in error.value.fix

    raw = shape.run(cut_decode.run(model).model, size=(320, 416)).model
    assert [axes[2:] for axes in dims(raw.graph.output)] == [[40, 52], [20, 26], [10, 13]]


def test_a_size_with_as_many_cells_as_the_old_one_is_refused_too(models):
    """640x640 and 320x1280 have 8,400 cells each: the baked grid would fit in shape and be wrong in every number."""
    with pytest.raises(ModelError, match="holds a grid"):
        shape.run(load(models / "yolov8n-640.onnx"), size=(320, 1280))


def test_raw_heads_are_opened_in_every_axis_and_keep_their_numbers(models, per_picture):
    model = load(models / "yolov4-tiny-416.onnx")

    opened = shape.run(model, batch="dynamic", size="dynamic").model

    assert dims(opened.graph.input) == [["batch", 3, "height", "width"]]
    assert dims(opened.graph.output)[0] == ["batch", 255, "head32_2", "head32_3"]
    per_picture(model, opened, 2, (416, 416))


def test_raw_heads_of_another_size_equal_those_of_a_model_exported_open(models, infer, noise):
    cut = cut_decode.run(load(models / "yolov8n-640.onnx")).model
    open_model = cut_decode.run(load(models / "yolov8n-dyn.onnx")).model

    wide = shape.run(cut, size=(192, 320)).model

    batch = noise(cut, 1, (192, 320))
    for expected, got in zip(infer(open_model, batch).values(), infer(wide, batch).values(), strict=True):
        assert np.abs(expected - got).max() < 1e-4


def test_the_model_that_went_in_is_as_it_was(models):
    model = load(models / "yolov8n-640.onnx")
    before = model.SerializeToString()
    shape.run(model, batch=4)

    assert model.SerializeToString() == before


def test_a_shape_that_is_there_already_changes_nothing(models):
    model = load(models / "yolov8n-dyn.onnx")

    result = shape.run(model, batch="dynamic", size="dynamic")

    assert not result.changed
    assert result.model is model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neither a batch nor a size"),
        ({"batch": 0}, "a batch of 0"),
        ({"size": (300, 300)}, "300x300 does not fit the model's stride of 32"),
        ({"size": (0, 640)}, "0x640 does not fit"),
    ],
)
def test_numbers_that_no_model_can_have_are_refused(models, options, message):
    with pytest.raises(InputError, match=message):
        shape.run(load(models / "yolov4-tiny-416.onnx"), **options)


TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,64,64] images) => (float[1,3,{rows},{columns}] out)
<int64[4] target = {{{target}}}>
{{
  out = Reshape(images, target)
}}
"""


def test_a_reshape_copies_the_batch_instead_of_naming_it():
    model = onnx.parser.parse_model(TEXT.format(rows=32, columns=128, target="1,3,32,128"))

    opened = shape.run(model, batch="dynamic").model

    target = onnx.numpy_helper.to_array(opened.graph.initializer[0])
    assert target.tolist() == [0, 3, 32, 128]
    assert dims(opened.graph.output) == [["batch", 3, 32, 128]]


def test_a_resize_to_a_size_becomes_one_by_factors():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,64,64] images) => (float[1,3,128,32] out)
        <int64[4] sizes = {1,3,128,32}>
        { out = Resize <mode = "nearest"> (images, , , sizes) }
    """)

    opened = shape.run(model, batch="dynamic", size="dynamic").model

    factors = onnx.numpy_helper.to_array(opened.graph.initializer[0])
    assert factors.tolist() == [1.0, 1.0, 2.0, 0.5]


ATTENTION = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,{height},{width}] images) => (float[1,3,{rows},{columns}] out)
<int64[3] flat = {{1,3,{cells}}}, int64[4] map = {{1,3,{rows},{columns}}}>
{{
  small = MaxPool <kernel_shape = [8, 8], strides = [8, 8]> (images)
  row = Reshape(small, flat)
  weights = Softmax <axis = 2> (row)
  out = Reshape(weights, map)
}}
"""


def test_a_map_that_is_flattened_and_made_again_follows_the_size(infer, noise):
    """Attention over the cells of a map, as YOLO11 has it, holds their number and the map's sides."""
    model = onnx.parser.parse_model(ATTENTION.format(height=64, width=64, rows=8, columns=8, cells=64))
    expected = onnx.parser.parse_model(ATTENTION.format(height=96, width=64, rows=12, columns=8, cells=96))

    got = shape.run(model, size=(96, 64)).model

    batch = noise(expected, 1, (96, 64))
    assert np.array_equal(infer(expected, batch)["out"], infer(got, batch)["out"])


def test_a_map_that_is_made_again_cannot_be_left_open():
    model = onnx.parser.parse_model(ATTENTION.format(height=64, width=64, rows=8, columns=8, cells=64))

    with pytest.raises(ModelError, match="cannot go from 1x3x64x64 to 1x3xheightxwidth"):
        shape.run(model, size="dynamic")


def test_five_dimensional_heads_are_opened_in_every_axis(per_picture):
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,64,64] images) => (float[1,1,8,8,3] out)
        <int64[5] five = {1,1,3,8,8}>
        {
          small = MaxPool <kernel_shape = [8, 8], strides = [8, 8]> (images)
          five_axes = Reshape(small, five)
          out = Transpose <perm = [0, 1, 3, 4, 2]> (five_axes)
        }
    """)

    opened = shape.run(model, batch="dynamic", size="dynamic").model

    assert dims(opened.graph.output) == [["batch", 1, "out_2", "out_3", 3]]
    per_picture(model, opened, 3, (64, 64))


@pytest.mark.parametrize("batch", [2, "dynamic"])
@pytest.mark.parametrize("order", ["one, images", "images, one"])
def test_a_constant_beside_what_is_computed_is_repeated_for_each_picture(per_picture, batch, order):
    """YOLOv6 writes an objectness of 1 between boxes and scores."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,1,64,64] images) => (float[1,1,64,65] out)
        <int64[4] target = {{1,1,64,1}}>
        {{
          one = ConstantOfShape(target)
          out = Concat <axis = -1> ({order})
        }}
    """)

    result = shape.run(model, batch=batch).model

    assert dims(result.graph.output) == [["batch" if batch == "dynamic" else batch, 1, 64, 65]]
    per_picture(model, result, 2, (64, 64))


def test_a_batch_that_cannot_be_opened_is_refused_after_trying():
    """NMS on the boxes of one picture takes the batch away."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,1,64,64] images) => (float[1,1,64,64] out)
        <int64[1] first = {0}>
        {
          row = Squeeze(images, first)
          out = Unsqueeze(row, first)
        }
    """)

    with pytest.raises(ModelError, match="images cannot go from 1x1x64x64 to 2x1x64x64") as error:
        shape.run(model, batch=2)

    assert "export with that batch" in error.value.fix


def test_an_output_that_mixes_pictures_is_refused_because_its_numbers_differ():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,64,64] images) => (float[1,3,64,64] out)
        {
          mean = ReduceMean <axes = [0], keepdims = 1> (images)
          out = Sub(images, mean)
        }
    """)

    with pytest.raises(ModelError, match="out differs by"):
        shape.run(model, batch=2)


@pytest.mark.parametrize(("options", "size"), [({"batch": 4}, (64, 64)), ({"size": (128, 128)}, (128, 128))])
def test_outputs_that_are_constants_or_do_not_count_pictures_keep_their_shape(infer, noise, options, size):
    """As the strides of the levels, which some exporters write beside the boxes."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,64,64] images) => (float[1,3,64,64] out, float[3] strides, float[3] again)
        <float[3] strides = {8, 16, 32}>
        {
          out = Relu(images)
          again = Neg(strides)
        }
    """)

    result = shape.run(model, **options).model

    assert dims(result.graph.output)[1:] == [[3], [3]]
    assert infer(result, noise(result, options.get("batch", 1), size))["again"].tolist() == [-8, -16, -32]


@pytest.mark.parametrize("options", [{"batch": 4}, {"size": (128, 128)}, {"batch": "dynamic", "size": "dynamic"}])
def test_branches_of_an_if_follow(per_picture, options):
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,64,64] images) => (float[1,3,32,32] out)
        <bool flag = {1}>
        {
          map = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (images)
          out = If (flag) <
            then_branch = yes () => (float[1,3,32,32] a) { a = Relu(map) },
            else_branch = no () => (float[1,3,32,32] b) { b = Neg(map) }
          >
        }
    """)

    result = shape.run(model, **options).model

    onnx.checker.check_model(result, full_check=True)
    size = options.get("size", (64, 64))
    if size == (64, 64):
        per_picture(model, result, 4, size)


def test_names_that_are_taken_are_not_given_twice():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,64,64] images) => (float[1,3,128,128] z, float[1] other)
        <int64[4] sizes = {1, 3, 128, 128}, float[1] z_scales = {7}>
        {
          z = Resize(images, , , sizes)
          other = Neg(z_scales)
        }
    """)

    result = shape.run(model, batch="dynamic").model

    assert dims(result.graph.output)[0] == ["batch", 3, 128, 128]
    onnx.checker.check_model(result, full_check=True)
