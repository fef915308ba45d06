"""Convolutions of one tensor become one convolution, where nothing has to be copied for it; numbers stay the same."""

from collections import Counter

import numpy as np
import onnx
import pytest

from polyyolo.models.metadata import joined_in, metadata_of
from polyyolo.models.spec import load
from polyyolo.passes import join_siblings, shape

SILU = "{c} = Conv<{how}>({x}, w_{c}, b_{c})  g_{c} = Sigmoid({c})  {y} = Mul({c}, g_{c})"
HOW = "kernel_shape = [3, 3], pads = [1, 1, 1, 1]"


def silu(c, y, x="t", how=HOW):
    return SILU.format(c=c, y=y, x=x, how=how)


def model(body, outputs="float[1,8,8,8] y", opset=17, **channels):
    """A model whose convolutions, named with how many channels they give, read what is named beside that."""
    values = {}
    generator = np.random.default_rng(0)
    for name, (made, read, kernel) in ({"t": (16, 3, 3)} | channels).items():
        values[f"w_{name}"] = generator.normal(0, 0.2, (made, read, kernel, kernel)).astype(np.float32)
        values[f"b_{name}"] = generator.normal(0, 0.2, made).astype(np.float32)
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]>
    two (float[1,3,8,8] x) => ({outputs}) {{ t = Conv<{HOW}>(x, w_t, b_t) {body} }}"""
    made = onnx.parser.parse_model(text)
    made.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in values.items())
    made = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(made, full_check=True)
    return made


HEAD = "p = Conv(r, w_p, b_p)  q = Conv(s, w_q, b_q)  y = Add(p, q)"
READ_BEFORE = HEAD.replace("y = Add(p, q)", "v = Add(p, q)  z = Conv(d, w_q)  y = Add(v, z)")
ENDS = {"p": (8, 32, 1), "q": (8, 24, 1)}
TWO = {"c": (32, 16, 3), "d": (24, 16, 3), **ENDS}


def ops(made):
    return Counter(node.op_type for node in made.graph.node)


def parts_of(made):
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in made.graph.initializer}
    return [constants[node.input[1]].tolist() for node in made.graph.node if node.op_type == "Split"]


@pytest.fixture
def small(same):
    """Hold two small models against each other."""
    return lambda before, after: same(before, after, (8, 8))


def test_two_convolutions_and_their_silus_become_one_and_a_split(small):
    before = model(silu("c", "r") + silu("d", "s") + HEAD, **TWO)

    result = join_siblings.run(before)

    assert result.notes == ("convolutions of one tensor are one now: 1 such",)
    assert ops(before)["Conv"] - ops(result.model)["Conv"] == 1
    assert (ops(result.model)["Sigmoid"], parts_of(result.model)) == (1, [[32, 24]])
    onnx.checker.check_model(result.model, full_check=True)
    small(before, result.model)


def test_the_model_tells_what_became_of_the_two():
    before = model(silu("c", "r") + silu("d", "s") + HEAD, **TWO)
    for node in before.graph.node:
        node.name = f"{node.output[0]}_node"

    once = join_siblings.run(before).model
    twice = join_siblings.run(once).model

    (joined,) = {node.name for node in once.graph.node if node.op_type == "Conv" and "joined" in node.name}
    assert joined_in(metadata_of(once)) == dict.fromkeys(("c_node", "d_node", "c", "d"), joined)
    assert joined_in(metadata_of(twice)) == joined_in(metadata_of(once))


def test_the_part_that_does_not_fill_the_last_group_of_32_comes_last(small):
    before = model(silu("d", "s") + silu("c", "r") + HEAD, **TWO)

    after = join_siblings.run(before).model

    assert parts_of(after) == [[32, 24]]
    small(before, after)


@pytest.mark.parametrize("function", ["Relu", "LeakyRelu<alpha = 0.1>", "HardSwish"])
def test_other_functions_are_joined_too(small, function):
    convs = f"c = Conv<{HOW}>(t, w_c, b_c)  r = {function}(c)  d = Conv<{HOW}>(t, w_d, b_d)  s = {function}(d)"
    before = model(convs + HEAD, **TWO)

    after = join_siblings.run(before).model

    assert ops(after)["Conv"] == ops(before)["Conv"] - 1
    small(before, after)


@pytest.mark.parametrize(
    ("body", "channels"),
    [
        (silu("c", "r") + silu("d", "s", how="kernel_shape = [1, 1]") + HEAD, {"d": (24, 16, 1)}),
        (silu("c", "r") + silu("d", "s", x="x") + HEAD, {"d": (24, 3, 3)}),
        (silu("c", "r") + f"d = Conv<{HOW}>(t, w_d, b_d)  s = Relu(d)" + HEAD, {}),
        (silu("c", "r") + silu("d", "s") + HEAD, {"c": (24, 16, 3), "p": (8, 24, 1)}),
        (silu("c", "r") + silu("d", "s") + "z = Concat<axis = 1>(r, s)  y = Conv(z, w_p, b_p)", {"p": (8, 56, 1)}),
        (silu("c", "r") + silu("d", "s") + READ_BEFORE, {}),
        (f"c = Conv<{HOW}>(t, w_c)  r = Relu(c)  d = Conv<{HOW}>(t, w_d, b_d)  s = Relu(d)" + HEAD, {}),
        (silu("c", "r").replace("Sigmoid(c)", "Tanh(c)") + silu("d", "s") + HEAD, {}),
    ],
    ids=[
        "other kernel",
        "other tensor",
        "other function",
        "two that fill no group of 32",
        "read by a Concat",
        "read before its function",
        "one without bias",
        "other gate",
    ],
)
def test_what_differs_or_would_be_copied_is_left_alone(body, channels):
    before = model(body, **{**TWO, **channels})

    result = join_siblings.run(before)

    assert (result.changed, result.model is before) == (False, True)
    assert result.notes == ("no convolutions to join",)


def test_what_comes_out_of_the_model_stays():
    before = model(silu("c", "r") + silu("d", "s") + HEAD, "float[1,8,8,8] y, float[1,24,8,8] s", **TWO)

    assert not join_siblings.run(before).changed


def test_an_operator_set_whose_split_takes_no_sizes_is_left_alone():
    before = model(silu("c", "r") + silu("d", "s") + HEAD, opset=11, **TWO)

    assert not join_siblings.run(before).changed


def test_the_head_of_yolov8_has_a_convolution_less_a_level(models, same):
    before = load(models / "yolov8n-640.onnx")

    after = join_siblings.run(before).model

    assert ops(before)["Conv"] - ops(after)["Conv"] == 3
    assert parts_of(after)[-3:] == [[64, 80]] * 3 or parts_of(after).count([64, 80]) == 3
    same(before, after)


def test_an_open_batch_and_size_stay_open(models, infer, noise):
    before = load(models / "yolov8n-dyn.onnx")

    after = join_siblings.run(before).model

    assert ops(before)["Conv"] - ops(after)["Conv"] == 3
    batch = noise(before, 2, (320, 416))
    (expected,), (got,) = infer(before, batch).values(), infer(after, batch).values()
    assert np.abs(expected - got).max() <= 1e-5 * np.abs(expected).max()


def test_its_batch_is_changed_afterwards_as_before(models):
    after = join_siblings.run(load(models / "yolov8n-640.onnx")).model

    assert shape.run(after, batch=4).model.graph.output[0].type.tensor_type.shape.dim[0].dim_value == 4


@pytest.mark.parametrize("name", ["yolov5s-640", "yolov4-tiny-416"])
def test_c3_and_darknet_have_none(models, name):
    before = load(models / f"{name}.onnx")

    assert join_siblings.run(before).model is before


@pytest.mark.parametrize(
    "limits",
    [
        ("r = Clip(c, low)", "s = Clip(d, , low)"),
        ("r = Clip(c, , one)", "s = Clip(d, , two)"),
        ("h = ReduceMax(t)  r = Clip(c, , h)", "k = ReduceMin(t)  s = Clip(d, , k)"),
    ],
    ids=["a lower and an upper limit", "other limits", "limits that are computed"],
)
def test_functions_with_other_limits_are_no_siblings(limits):
    convs = f"c = Conv<{HOW}>(t, w_c, b_c)  d = Conv<{HOW}>(t, w_d, b_d)  "
    constants = "low = Constant<value_float = 0.2>()  one = Constant<value_float = 1.0>()  "
    constants += "two = Constant<value_float = 2.0>()  "
    before = model(constants + convs + "  ".join(limits) + "  " + HEAD, **TWO)

    assert join_siblings.run(before).model is before


def test_functions_with_the_same_limits_are_siblings(small):
    convs = f"c = Conv<{HOW}>(t, w_c, b_c)  d = Conv<{HOW}>(t, w_d, b_d)  "
    before = model(
        "top = Constant<value_float = 1.0>()  " + convs + "r = Clip(c, , top)  s = Clip(d, , top)  " + HEAD, **TWO
    )

    result = join_siblings.run(before)

    assert result.changed
    small(before, result.model)
