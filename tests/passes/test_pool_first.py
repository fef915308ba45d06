"""A MaxPool behind a Concat comes before it; no bit changes."""

import numpy as np
import onnx
import pytest

from polyyolo.models.spec import load
from polyyolo.passes import pool_first

POOL = "MaxPool<kernel_shape = [2, 2], strides = [2, 2]>"
BODY = f"a = Relu(x)  b = Neg(a)  z = Concat<axis = 1>(a, b)  y = {POOL}(z)"


def model(body, outputs="y", *, flag=None):
    made = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> pooled (float[1,3,16,16] x) => ({outputs}) {{ {body} }}'
    )
    if flag is not None:
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(flag), "flag"))
    made = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(made, full_check=True)
    return made


def written(made):
    return [(node.op_type, list(node.input), list(node.output)) for node in made.graph.node]


def test_each_input_is_pooled_and_then_joined(infer, noise):
    before = model(BODY)

    result = pool_first.run(before)

    onnx.checker.check_model(result.model, full_check=True)
    assert result.notes == ("MaxPools before a Concat now: 1",)
    assert ("Concat", ["a_pooled", "b_pooled"], ["y"]) in written(result.model)
    assert [node for node in written(result.model) if node[0] == "MaxPool"] == [
        ("MaxPool", ["a"], ["a_pooled"]),
        ("MaxPool", ["b"], ["b_pooled"]),
    ]
    batch = noise(before, 1, (16, 16)) - 0.5
    assert np.array_equal(infer(before, batch)["y"], infer(result.model, batch)["y"])


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        (BODY.replace("axis = 1", "axis = 2"), "y"),
        (BODY.replace("axis = 1", "axis = -1"), "y"),
        (BODY + "  w = Neg(z)", "y, w"),
        (BODY, "y, z"),
        (BODY.replace(f"{POOL}(z)", "AveragePool<kernel_shape = [2, 2]>(z)"), "y"),
        (BODY.replace(f"y = {POOL}(z)", f"y, i = {POOL}(z)"), "y, i"),
        (BODY.replace("Neg(a)", "Neg(x)"), "y"),
    ],
    ids=["rows", "columns", "read elsewhere", "an output", "another pool", "places are told", "nothing is copied"],
)
def test_what_is_pooled_in_another_way_stays(body, outputs):
    before = model(body, outputs)

    result = pool_first.run(before)

    assert (result.changed, result.model is before) == (False, True)
    assert result.notes == ("no MaxPool behind a Concat of its own",)


def test_a_pool_in_a_branch_stays_there():
    inner = f"then_branch = yes () => (float[1,6,8,8] o) {{ o = {POOL}(z) }}, else_branch = no () => (float[1,6,8,8] p)"
    before = model(
        f"a = Relu(x)  b = Neg(x)  z = Concat<axis = 1>(a, b)  p0 = {POOL}(a)  p1 = Concat<axis = 1>(p0, p0)"
        f"  y = If(flag) <{inner} {{ p = Identity(p1) }}>",
        flag=True,
    )

    assert pool_first.run(before).model is before


def test_names_of_nodes_are_not_given_twice():
    before = model(BODY)
    before.graph.node[0].name = "a_pooled"

    after = pool_first.run(before).model

    named = [node.name for node in after.graph.node if node.name]
    assert len(named) == len(set(named))


def test_a_concat_or_pool_of_another_domain_stays():
    before = model(BODY)
    before.graph.node[-1].domain = "my"
    before.opset_import.append(onnx.helper.make_opsetid("my", 1))

    assert pool_first.run(before).model is before


def test_an_axis_from_the_end_is_the_same_axis():
    assert pool_first.run(model(BODY.replace("axis = 1", "axis = -3"))).changed


def test_yolov4_tiny_pools_first_three_times(models, same):
    before = load(models / "yolov4-tiny-416.onnx")

    after = pool_first.run(before).model

    count = [sum(node.op_type == op for node in after.graph.node) for op in ("MaxPool", "Concat")]
    assert count == [6, 7]
    same(before, after, (416, 416))
