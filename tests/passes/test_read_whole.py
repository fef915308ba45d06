"""What is split and joined again is read whole; numbers change by FP32's rounding."""

import re
from collections import Counter

import numpy as np
import onnx
import pytest

from polyyolo.models.spec import load
from polyyolo.passes import read_whole

WEIGHTS = {"w1": (16, 3, 1, 1), "w2": (8, 8, 3, 3), "w3": (8, 8, 3, 3), "w4": (8, 24, 1, 1)}
PADDED = "kernel_shape = [3, 3], pads = [1, 1, 1, 1]"
C2F = f"""
    t = Conv(x, w1)
    l, r = Split<axis = 1>(t)
    a = Conv<{PADDED}>(r, w2)
    b = Relu(a)
    c = Conv<{PADDED}>(b, w3)
    d = Relu(c)
    JOINED
"""
WITH_ADD = C2F.replace("JOINED", "e = Add(r, d)  z = Concat<axis = 1>(l, r, e)  y = Conv(z, w4)")
WITHOUT = C2F.replace("JOINED", "z = Concat<axis = 1>(l, r, d)  y = Conv(z, w4)").replace(PADDED, "group = 1")
TWICE = C2F.replace(
    "JOINED",
    f"""
    e = Add(r, d)
    f = Conv<{PADDED}>(e, w5)
    g = Relu(f)
    h = Conv<{PADDED}>(g, w6)
    i = Relu(h)
    j = Add(e, i)
    z = Concat<axis = 1>(l, r, e, j)
    y = Conv(z, w4)
    """,
)
POINTS = {"w2": (8, 8, 1, 1), "w3": (8, 8, 1, 1)}


def model(body, outputs="y", side=640, half=8, **weights):
    made = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> c2f (float[1,3,{side},{side}] x) => ({outputs}) {{ {body} }}'
    )
    generator = np.random.default_rng(0)
    made.graph.initializer.extend(
        onnx.numpy_helper.from_array(generator.normal(0, 0.2, dims).astype(np.float32), name)
        for name, dims in {**WEIGHTS, **weights}.items()
    )
    halves = next((node for node in made.graph.node if node.op_type == "Split"), None)
    if halves is not None and len(halves.input) == 1:
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([half, half]), "halves"))
        halves.input.append("halves")
    made = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(made, full_check=True)
    return made


def ops(made):
    return dict(Counter(node.op_type for node in made.graph.node))


@pytest.fixture
def alike(infer, noise):
    """Whether two models give the same numbers but for rounding."""

    def check(before, after, side=640):
        batch = noise(before, 1, (side, side))
        (expected,), (got,) = infer(before, batch).values(), infer(after, batch).values()
        assert expected.shape == got.shape
        assert np.abs(expected - got).max() <= 1e-5 * np.abs(expected).max()

    return check


@pytest.mark.parametrize(("body", "weights", "gone"), [(WITH_ADD, {}, {"Split", "Add"}), (WITHOUT, POINTS, {"Split"})])
def test_the_split_goes_and_what_is_added_with_it(alike, body, weights, gone):
    before = model(body, **weights)

    result = read_whole.run(before)

    assert set(ops(before)) - set(ops(result.model)) == gone
    assert ops(result.model)["Conv"] == ops(before)["Conv"]
    assert result.notes == ("tensors that are read whole now: 1",)
    onnx.checker.check_model(result.model, full_check=True)
    alike(before, result.model)


def test_the_parts_that_a_convolution_did_not_read_have_weights_of_zero():
    after = read_whole.run(model(WITH_ADD)).model

    constants = {each.name: onnx.numpy_helper.to_array(each) for each in after.graph.initializer}
    first = next(node for node in after.graph.node if node.output[0] == "a")
    weights = constants[first.input[1]]
    assert weights.shape == (8, 16, 3, 3)
    assert not weights[:, :8].any()
    assert weights[:, 8:].all()


def test_a_small_map_of_many_channels_stays_split():
    wide = {"w1": (512, 3, 1, 1), "w2": (256, 256, 3, 3), "w3": (256, 256, 3, 3), "w4": (8, 768, 1, 1)}
    before = model(WITH_ADD, side=40, half=256, **wide)

    result = read_whole.run(before)

    assert (result.changed, result.model is before) == (False, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Concat<axis = 1>(l, r, e)", "Concat<axis = 1>(r, l, e)"),
        ("Concat<axis = 1>(l, r, e)", "Concat<axis = 1>(l, e, r)"),
        ("e = Add(r, d)", "e = Mul(r, d)"),
        ("y = Conv(z, w4)", "v = Relu(z)  y = Conv(v, w4)"),
        ("y = Conv(z, w4)", "u = Conv(z, w4)  v = Neg(l)  k = ReduceMean<keepdims = 1>(v)  y = Add(u, k)"),
        ("y = Conv(z, w4)", "u = Conv(z, w4)  k = ReduceMean<keepdims = 1>(e)  y = Add(u, k)"),
    ],
    ids=[
        "other order",
        "not side by side",
        "no sum",
        "not read by a convolution",
        "read elsewhere",
        "sum read elsewhere",
    ],
)
def test_parts_that_are_used_in_another_way_stay_split(old, new):
    before = model(WITH_ADD.replace(old, new))

    result = read_whole.run(before)

    assert (result.changed, result.model is before) == (False, True)
    assert result.notes == ("no split tensor that is better read whole",)


def test_yolov5s_has_sums_but_splits_nothing(models):
    before = load(models / "yolov5s-640.onnx")

    result = read_whole.run(before)

    assert result.model is before
    assert result.notes == ("no split tensor that is better read whole",)


def test_a_part_that_comes_out_of_the_model_stays():
    before = model(WITH_ADD, "y, r")

    assert not read_whole.run(before).changed


def test_a_second_bottleneck_reads_the_first_ones_sum_as_its_addends(alike):
    before = model(TWICE, w4=(8, 32, 1, 1), w5=(8, 8, 3, 3), w6=(8, 8, 3, 3))

    after = read_whole.run(before).model

    assert ops(before) == {"Split": 1, "Conv": 6, "Relu": 4, "Add": 2, "Concat": 1}
    assert ops(after) == {"Conv": 6, "Relu": 4, "Concat": 2}
    inputs = {node.output[0]: list(node.input) for node in after.graph.node}
    nested = inputs["z"][0]
    assert (inputs[nested], inputs["z"]) == (["t", "d"], [nested, "i"])
    assert inputs["f"][0] == nested
    alike(before, after)


def test_what_reads_the_last_sum_besides_reads_all_that_is_joined(alike):
    before = model(
        WITH_ADD.replace("y = Conv(z, w4)", "u = Conv(z, w4)  v = Conv(e, w5)  y = Add(u, v)"), w5=(8, 8, 1, 1)
    )

    after = read_whole.run(before).model

    assert [list(node.input) for node in after.graph.node if node.op_type == "Concat"] == [["t", "d"]]
    assert next(node.input[0] for node in after.graph.node if node.output[0] == "v") == "z"
    alike(before, after)


def test_a_convolution_reads_nothing_that_is_made_of_what_it_gives():
    newest_first = WITHOUT.replace("Concat<axis = 1>(l, r, d)", "Concat<axis = 1>(l, r, d, b)")
    oldest_first = WITHOUT.replace("Concat<axis = 1>(l, r, d)", "Concat<axis = 1>(l, r, b, d)")

    assert not read_whole.run(model(newest_first, **POINTS, w4=(8, 32, 1, 1))).changed
    assert read_whole.run(model(oldest_first, **POINTS, w4=(8, 32, 1, 1))).changed


BRANCHES = (
    "then_branch = yes () => (float[1,8,640,640] o) {{ {} }}, "
    "else_branch = no () => (float[1,8,640,640] p) {{ p = Identity(y) }}"
)


@pytest.mark.parametrize("inner", ["o = Conv<group = 1>(e, w5)", "o = Add(r, k)"], ids=["convolution", "Add"])
def test_a_branch_that_reads_a_part_or_a_sum_keeps_it(inner):
    branched = f"k = Sigmoid(b)  m = ReduceMax<keepdims = 0>(x)  n = Equal(m, m)  q = If(n) <{BRANCHES.format(inner)}>"
    before = model(f"{WITH_ADD} {branched}", "y, q", w5=(8, 8, 1, 1))

    after = read_whole.run(before).model

    assert "Split" in ops(after)
    onnx.checker.check_model(after, full_check=True)


def test_of_two_blocks_that_add_their_sums_one_is_read_whole(alike):
    one = """
        t = Conv(x, w1)  l, r = Split<axis = 1>(t)  d = Conv(r, w5)  e = Add(r, d)  f = Conv(l, w5)
        z = Concat<axis = 1>(l, r, f)  u = Conv(z, w4)
    """
    other = one
    for name in "tlrdefzu":
        other = re.sub(rf"\b{name}\b", name.upper(), other)
    sums = "k = Add(e, E)  q = Conv(k, w5)  v = Add(u, U)  y = Add(v, q)"
    before = model(f"{one} {other} {sums}", w5=(8, 8, 1, 1))

    after = read_whole.run(before).model

    onnx.checker.check_model(after, full_check=True)
    alike(before, after)


def test_names_of_nodes_are_not_given_twice(infer, noise):
    body = TWICE.replace("z = Concat", "Concat = Concat").replace("Conv(z", "Conv(Concat")
    before = model(body, w4=(8, 32, 1, 1), w5=(8, 8, 3, 3), w6=(8, 8, 3, 3))
    before.graph.node[0].name = "Concat_1"

    after = read_whole.run(before).model

    named = [node.name for node in after.graph.node if node.name]
    assert len(named) == len(set(named))
    infer(after, noise(after, 1, (640, 640)))


def test_operators_of_other_domains_are_not_those_of_onnx():
    body = WITH_ADD.replace("e = Add(r, d)", "e = my.Add(r, d)")
    text = f"""
        <ir_version: 8, opset_import: ["" : 17, "my" : 1]>
        c2f (float[1,3,640,640] x) => (float[1,8,640,640] y) {{ {body} }}
        <domain: "my", opset_import: ["" : 17]> Add (p, q) => (s) {{ s = Sub(p, q) }}
    """
    before = onnx.parser.parse_model(text)
    before.graph.initializer.extend(model(WITH_ADD).graph.initializer)
    halves = next(node for node in before.graph.node if node.op_type == "Split")
    halves.input.append("halves")

    assert read_whole.run(before).model is before


def test_yolov8n_reads_all_whole_that_it_splits(models, same):
    before = load(models / "yolov8n-640.onnx")

    after = read_whole.run(before).model

    assert ops(before)["Split"] == 8
    assert "Split" not in ops(after)
    assert ops(before)["Add"] - ops(after)["Add"] == 6
    assert ops(after)["Concat"] - ops(before)["Concat"] == 2
    same(before, after)


def test_an_open_size_is_left_alone(models):
    before = load(models / "yolov8n-dyn.onnx")

    result = read_whole.run(before)

    assert result.model is before
    assert "of those whose channels, height and width are known" in result.notes[0]
