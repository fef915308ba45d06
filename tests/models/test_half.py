import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from polyyolo.models.half import Half, read_half


@pytest.fixture
def saved(tmp_path):
    def save(text, **weights):
        model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]> {text}')
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
        onnx.save(model, tmp_path / "m.onnx")
        return tmp_path / "m.onnx"

    return save


def test_an_fp32_model_holds_no_half(saved):
    assert read_half(saved("g (float[4] x) => (float[4] y) { y = Relu(x) }")) == Half()


def test_a_cast_to_fp16_is_half(saved):
    path = saved("g (float[4] x) => (float16[4] y) { y = Cast<to = 10>(x) }")

    assert read_half(path) == Half(anywhere=True)


def test_fp16_weights_are_half(saved):
    path = saved("g (float16[4] x) => (float16[4] y) { y = Add(x, w) }", w=np.ones(4, np.float16))

    assert read_half(path) == Half(anywhere=True)


@pytest.mark.parametrize(
    ("body", "half"),
    [
        ("y = Add(x, v)", Half()),
        ("h = Cast<to = 10>(x) s = Add(h, w) y = Add(x, v)", Half(anywhere=True)),
    ],
)
def test_weights_that_are_kept_in_fp16_and_cast_to_fp32_are_no_half(saved, body, half):
    path = saved(f"g (float[4] x) => (float[4] y) {{ v = Cast<to = 1>(w) {body} }}", w=np.ones(4, np.float16))

    assert read_half(path) == half


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_the_type_of_scales_is_told(saved, kind):
    text = "g (float[4] x) => (int8[4] y) { y = QuantizeLinear(x, scale, zero) }"

    half = read_half(saved(text, scale=np.array(0.5, kind), zero=np.array(0, np.int8)))

    assert half == Half(anywhere=kind is np.float16, scales=kind is np.float16)


def test_constants_of_any_kind_are_looked_through(tmp_path):
    """A Constant may hold a list of numbers in place of a tensor."""
    nodes = [
        helper.make_node("Constant", [], ["a"], value_floats=[1.0]),
        helper.make_node("Constant", [], ["b"], value=helper.make_tensor("b", TensorProto.FLOAT16, [1], [1.0])),
    ]
    graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT16, [1])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]), tmp_path / "m.onnx")

    assert read_half(tmp_path / "m.onnx") == Half(anywhere=True)
