"""FP16 from the image to the head, FP32 around it: what a strongly typed builder takes at its word."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from polyyolo.errors import ModelError
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.half import OPSET, to_half
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.quantize import cast_to_half

SQUARE = (8, 8, 1, 1)
CHAIN = "a = Conv(x, w1)  g = Sigmoid(a)  b = Mul(a, g)  c = Conv(b, w2)  y = Mul(c, c)"


def halved(model, image="x", **options):
    made = to_half(model, image, **options)
    onnx.checker.check_model(made, full_check=True)
    return made


def types(model):
    """Element type of every tensor, as inferred from the file alone."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(bare, strict_mode=True).graph
    values = {
        value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return values | {tensor.name: tensor.data_type for tensor in graph.initializer}


def casts(model):
    return [
        (node.input[0], onnx.helper.get_node_attr_value(node, "to"))
        for node in model.graph.node
        if node.op_type == "Cast"
    ]


def computed_in(model):
    """Type that each node computes in, by its first output."""
    found = types(model)
    return {node.output[0]: found[node.input[0]] for node in model.graph.node if node.op_type != "Cast"}


def ran(model, picture, name="x"):
    return open_session(model.SerializeToString()).run(None, {name: picture})


def test_everything_up_to_the_head_is_fp16_and_everything_behind_it_fp32(fragment):
    made = halved(fragment(CHAIN, w1=SQUARE, w2=SQUARE))

    assert computed_in(made) == dict.fromkeys("agbc", TensorProto.FLOAT16) | {"y": TensorProto.FLOAT}


def test_inputs_and_outputs_stay_fp32_with_one_cast_at_each_border(fragment):
    made = halved(fragment(CHAIN, w1=SQUARE, w2=SQUARE))

    assert (types(made)["x"], types(made)["y"]) == (TensorProto.FLOAT, TensorProto.FLOAT)
    assert casts(made) == [("x", TensorProto.FLOAT16), ("c", TensorProto.FLOAT)]


def test_half_io_needs_no_cast_at_the_input(fragment):
    made = halved(fragment(CHAIN, w1=SQUARE, w2=SQUARE), half_io=True)

    assert types(made)["x"] == TensorProto.FLOAT16
    assert types(made)["y"] == TensorProto.FLOAT, "the decode's output"
    assert casts(made) == [("c", TensorProto.FLOAT)]


def test_half_io_lets_raw_heads_be_fp16(fragment):
    body, weights = "a = Conv(x, w1)  b = Relu(a)  y = Conv(b, w2)", {"w1": SQUARE, "w2": SQUARE}

    assert types(halved(fragment(body, **weights)))["y"] == TensorProto.FLOAT
    assert types(halved(fragment(body, **weights), half_io=True))["y"] == TensorProto.FLOAT16
    assert casts(halved(fragment(body, **weights), half_io=True)) == []


def test_an_output_that_is_used_further_on_is_fp32_outside_and_fp16_inside(fragment):
    body = "a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  y = Mul(c, c)"

    made = halved(fragment(body, outputs="b, c, y", w1=SQUARE, w2=SQUARE))
    found = types(made)

    assert [output.name for output in made.graph.output] == ["b", "c", "y"]
    assert [found[name] for name in "bcy"] == [TensorProto.FLOAT] * 3
    assert sorted(casts(made)) == sorted([("x", 10), ("b_half", 1), ("c_half", 1), ("c_half", 1)]), (
        "no Cast between a and the head"
    )


def test_a_bytes_input_stays_bytes_and_is_cast_once(fragment):
    """Models that take pictures as uint8 cast and scale them inside."""
    model = fragment("f = Cast<to = 1>(x)  s = Mul(f, k)  a = Conv(s, w1)  y = Conv(a, w2)", k=(), w1=SQUARE, w2=SQUARE)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8

    for half_io in (False, True):
        made = halved(model, half_io=half_io)
        assert types(made)["x"] == TensorProto.UINT8
        assert casts(made)[0] == ("x", TensorProto.FLOAT16)


def test_resize_scales_stay_fp32(fragment):
    constants = {"scales": np.array([1, 1, 2, 2], np.float32)}
    body = 'a = Conv(x, w1)  b = Resize<mode = "nearest">(a, , scales)  c = Conv(b, w2)  y = Relu(c)'

    made = halved(fragment(body, constants=constants, w1=SQUARE, w2=SQUARE))

    assert types(made)["scales"] == TensorProto.FLOAT
    assert computed_in(made)["b"] == TensorProto.FLOAT16


def test_sizes_that_are_computed_from_shapes_are_left_alone(fragment):
    body = """a = Conv(x, w1)  s = Shape(a)  f = Cast<to = 1>(s)  double = Mul(f, two)  i = Cast<to = 7>(double)
              b = Resize<mode = "nearest">(a, , , i)  c = Conv(b, w2)  y = Relu(c)"""
    constants = {"two": np.array([1, 1, 2, 2], np.float32)}

    made = halved(fragment(body, constants=constants, w1=SQUARE, w2=SQUARE))

    assert types(made)["double"] == TensorProto.FLOAT
    assert computed_in(made)["b"] == TensorProto.FLOAT16


def test_a_constant_that_both_sides_use_exists_in_both_types(fragment):
    body = "a = Conv(x, w1)  b = Mul(a, k)  c = Conv(b, w2)  y = Mul(c, k)"

    made = halved(fragment(body, k=(8, 1, 1), w1=SQUARE, w2=SQUARE))

    assert (types(made)["k"], types(made)["k_half"]) == (TensorProto.FLOAT, TensorProto.FLOAT16)


@pytest.mark.parametrize("opset", [11, 12, 13, 16, 17, 18])
def test_older_operator_sets_are_raised_to_where_scales_may_be_fp16(fragment, opset):
    body = """a = Conv(x, w1)  p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a)  b = Concat<axis = 1>(p, p)
              c = Conv(b, w2)  d = Sigmoid(c)  y = Softmax<axis = 1>(d)"""
    model = fragment(body, opset=opset, w1=SQUARE, w2=(8, 16, 1, 1))
    picture = np.random.default_rng(0).normal(0, 1, (1, 8, 16, 16)).astype(np.float32)

    made = halved(model)

    assert [entry.version for entry in made.opset_import] == [OPSET]
    np.testing.assert_allclose(ran(made, picture)[0], ran(model, picture)[0], atol=0.02)


def test_a_newer_operator_set_stays(fragment):
    made = halved(fragment(CHAIN, opset=20, w1=SQUARE, w2=SQUARE))

    assert [entry.version for entry in made.opset_import] == [20]


def test_a_weight_that_fp16_cannot_hold_is_refused_by_name(fragment):
    model = fragment(CHAIN, w2=SQUARE, constants={"w1": np.full(SQUARE, 1e5, np.float32)})

    with pytest.raises(ModelError, match="'w1' holds 100000") as refused:
        to_half(model, "x")

    assert "--precision fp32" in refused.value.fix


def test_infinity_is_a_number_that_fp16_has(fragment):
    """Padding before MaxPool and masks in attention are minus infinity."""
    constants = {"pads": np.array([0, 0, 0, 0, 0, 0, 1, 1]), "least": np.float32(-np.inf)}
    body = """a = Conv(x, w1)  b = Pad(a, pads, least)  p = MaxPool<kernel_shape = [2, 2]>(b)
              c = Conv(p, w2)  y = Relu(c)"""

    made = halved(fragment(body, constants=constants, w1=SQUARE, w2=SQUARE))

    assert np.isneginf({t.name: numpy_helper.to_array(t) for t in made.graph.initializer}["least_half"])


def test_a_large_constant_behind_the_head_is_no_obstacle(fragment):
    body = "a = Conv(x, w1)  c = Conv(a, w2)  y = Mul(c, k)"

    made = halved(fragment(body, constants={"k": np.float32(1e6)}, w1=SQUARE, w2=SQUARE))

    assert types(made)["k"] == TensorProto.FLOAT


def test_scales_beside_fp16_are_fp16_and_the_same_numbers(fragment, placed, table):
    model = fragment(CHAIN, w1=SQUARE, w2=SQUARE)
    placement = placed(model)
    quantized = insert(model, placement, table(dict.fromkeys(placement.observed, 4.0)))

    made = halved(quantized)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}

    pairs = [node for node in made.graph.node if node.op_type == "QuantizeLinear"]
    assert len(pairs) == 2
    for node in pairs:
        assert values[node.input[1]].dtype == np.float16
        original = before[node.input[1].removesuffix("_half")]
        np.testing.assert_array_equal(values[node.input[1]].astype(np.float32), original)
    assert types(made)["w1_half"] == TensorProto.FLOAT16
    assert len(casts(made)) == 2, "nothing is cast between Q/DQ and what they serve"


def test_a_scale_that_fp16_would_hold_as_a_subnormal_number_is_made_larger(fragment, placed, table):
    weight = np.full((8, 8, 1, 1), 1e-4, np.float32)
    model = fragment("a = Conv(x, w1)  y = Conv(a, w2)", constants={"w1": weight}, w2=(8, 8, 1, 1))
    int8 = insert(model, placed(model), table({"x": 2.0}))

    scales = {
        name: {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in each.graph.initializer}
        for name, each in (("int8", int8), ("half", halved(int8)))
    }

    assert (scales["int8"]["w1_scale"] < 1e-6).all()
    assert (scales["half"]["w1_scale_half"] == np.finfo(np.float16).smallest_normal).all()


def test_a_second_input_is_cast_where_it_meets_the_picture(fragment):
    model = fragment(
        "a = Conv(x, w1)  b = Mul(a, weight)  c = Conv(b, w2)  y = Relu(c)", w1=SQUARE, w2=SQUARE, weight=(1,)
    )
    del model.graph.initializer[2]
    model.graph.input.append(onnx.helper.make_tensor_value_info("weight", TensorProto.FLOAT, [1]))

    made = halved(model)

    assert types(made)["weight"] == TensorProto.FLOAT
    assert ("weight", TensorProto.FLOAT16) in casts(made)


MAP = "float[1,8,16,16]"
IF = f"""m = ReduceMean<keepdims = 0>(a)  t = Less(m, zero)
b = If (t) <then_branch = one () => ({MAP} p) {{ p = Identity(a) }},
            else_branch = two () => ({MAP} q) {{ q = Mul(a, k) }}>"""
LOOP = f"""b = Loop (n, , a) <body = step (int64 i, bool go, {MAP} h) => (bool on, {MAP} s) {{
on = Identity(go)  s = Add(h, a) }}>"""


@pytest.mark.parametrize("inner", [IF, LOOP])
def test_branches_and_loops_stay_fp32_whatever_of_the_fp16_around_them_they_read(fragment, inner):
    model = fragment(
        f"a = Conv(x, w1)  {inner}  c = Conv(b, w2)  d = Conv(c, w3)  y = Relu(d)",
        outputs=f"{MAP} y",
        constants={"zero": np.float32(0), "k": np.float32(3), "n": np.int64(3)},
        w1=SQUARE,
        w2=SQUARE,
        w3=SQUARE,
    )
    picture = np.random.default_rng(0).normal(0, 0.1, (1, 8, 16, 16)).astype(np.float32)

    made = halved(model)

    assert computed_in(made)["a"] == computed_in(made)["c"] == TensorProto.FLOAT16
    assert casts(made) == [("x", 10), ("a", 1), ("b", 10), ("d", 1)]
    np.testing.assert_allclose(ran(made, picture)[0], ran(model, picture)[0], rtol=0.01, atol=0.1)


def test_a_graph_without_a_head_is_fp16_throughout(fragment):
    made = halved(fragment("a = Relu(x)  y = Sigmoid(a)"))

    assert computed_in(made) == {"a": TensorProto.FLOAT16, "y_half": TensorProto.FLOAT16}
    assert types(made)["y"] == TensorProto.FLOAT


def test_the_little_yolo_computes_nearly_what_it_did(little_dynamic, tmp_path):
    spec = read_spec(little_dynamic)
    pictures = np.random.default_rng(0).random((3, 3, 64, 64), np.float32)

    made = cast_to_half(spec, tmp_path / "half.onnx")
    before = ran(load(little_dynamic), pictures, "images")[0]
    after = ran(load(made.path), pictures, "images")[0]

    assert made.opset == OPSET
    assert made.head == spec.head
    assert made.history == ("cast to FP16",)
    assert made.image_input.dims[0] == "batch"
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=0.05)
    np.testing.assert_allclose(after[:, 4:], before[:, 4:], atol=0.02)


def test_the_little_yolo_in_int8_computes_nearly_what_it_did(little_yolo, placed, table):
    """Half of all levels would be one too small in an ONNX Runtime that does not round FP16."""
    model = load(little_yolo)
    placement = placed(model)
    quantized = insert(model, placement, table(dict.fromkeys(placement.observed, 4.0)))
    picture = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)

    off = ran(halved(quantized, "images"), picture, "images")[0] - ran(quantized, picture, "images")[0]

    assert np.abs(off[:, :4]).mean() < 0.003
    assert np.abs(off[:, 4:]).mean() < 0.01


@pytest.mark.parametrize("name", ["yolov5s-640-3head", "yolov8n-640", "yolov4-tiny-416"])
def test_real_models_are_fp16_up_to_the_head_with_three_borders(models, name):
    path = models / f"{name}.onnx"
    spec = read_spec(path)

    made = halved(load(path), spec.image)
    by_type = computed_in(made)
    convolutions = [node for node in made.graph.node if node.op_type == "Conv"]
    single = [node for node in convolutions if by_type[node.output[0]] == TensorProto.FLOAT]

    assert len(single) == (1 if name == "yolov8n-640" else 0), "only YOLOv8's DFL"
    assert {types(made)[output.name] for output in made.graph.output} == {TensorProto.FLOAT}
    assert sum(kind == TensorProto.FLOAT16 for _, kind in casts(made)) == 1


def test_names_of_what_is_cast_are_not_those_of_others(fragment):
    """A model that was cast before holds such names."""
    body = """a = Conv(x, w1)  b = Relu(a)  a_half = Conv(b, w2)  c = Conv(a_half, w1)  d = Conv(c, w2)
              x_half = Mul(d, w1_half)  d_single = Add(x_half, d)  y = Neg(d_single)"""
    model = fragment(body, constants={"w1_half": np.float32(3)}, w1=SQUARE, w2=SQUARE)
    picture = np.random.default_rng(0).normal(0, 1, (1, 8, 16, 16)).astype(np.float32)

    made = to_half(model, "x")

    onnx.checker.check_model(made, full_check=True)
    names = [tensor for node in made.graph.node for tensor in node.output]
    assert len(names) == len(set(names))
    before, after = (open_session(each.SerializeToString()).run(None, {"x": picture})[0] for each in (model, made))
    assert np.abs(before - after).max() < 0.02 * np.abs(before).max()
