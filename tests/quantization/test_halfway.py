"""Where a model can be begun halfway, and that the two parts compute what the whole does."""

import numpy as np
import onnx
import onnxruntime
import pytest

from polyyolo.quantization.halfway import Halfway

MODEL = """<ir_version: 8, opset_import: ["" : 17]>
small (float[N,1,2,2] image) => (float[N,1,2,2] out) <float[1] one = {1}> {
    a = Relu(image)
    b = Add(a, one)
    two = Add(one, one)
    c = Mul(b, two)
    d = Add(c, a)
    out = Mul(d, two)
}"""
"""``a`` is read late, ``two`` is made of constants."""


def run(model, given):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in model.graph.output]
    return dict(zip(names, session.run(names, given), strict=True))


def halfway(text=MODEL):
    return Halfway(onnx.parser.parse_model(text))


def test_known_is_what_the_rest_reads_of_what_was_computed_and_no_constants():
    model = halfway()

    assert [model.known_at(name) for name in ("image", "a", "b", "c", "d")] == [
        ["image"],
        ["a"],
        ["a", "b"],
        ["a", "c"],
        ["d"],
    ]
    assert [model.place(name) for name in ("image", "a", "c")] == [-1, 0, 3]


def test_both_parts_together_compute_what_the_whole_does():
    picture = {"image": np.linspace(-2, 2, 4, dtype=np.float32).reshape(1, 1, 2, 2)}
    model = halfway()

    before = run(model.between(["image"], ["a", "c"]), picture)
    after = run(model.rest(["a", "c"]), before)

    np.testing.assert_array_equal(after["out"], run(onnx.parser.parse_model(MODEL), picture)["out"])
    assert [node.op_type for node in model.rest(["a", "c"]).graph.node] == ["Add", "Add", "Mul"]


WIDE = """
    wide = Concat<axis = 1>(image, image, image)
    sum = ReduceMax(wide)
    a ="""
BRANCHES = "then_branch = g () => (y) { y = Relu(image) }, else_branch = h () => (y) { y = Identity(image) }"


@pytest.mark.parametrize(
    ("text", "tensor"),
    [
        (MODEL.replace("(float[N,1,2,2] out)", "(float[N,1,2,2] out, float[N,1,2,2] a)"), "b"),
        (MODEL.replace("a =", WIDE, 1).replace("(d, two)", "(d, sum)"), "wide"),
        (MODEL.replace("[N,1,2,2] image", "[N,1,H,W] image"), "b"),
        (MODEL.replace("Relu(image)", f"If<{BRANCHES}>(yes)").replace("{1}>", "{1}, bool yes = {1}>"), "b"),
        (MODEL, "out"),
    ],
    ids=["an output comes before", "too much to keep", "open size", "graphs inside nodes", "nothing is left"],
)
def test_where_a_model_cannot_be_begun(text, tensor):
    assert halfway(text).known_at(tensor) is None
