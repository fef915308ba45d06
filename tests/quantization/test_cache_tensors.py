"""Which tensors of a graph get a scale in a calibration cache, and which scale."""

import pytest

from polyyolo.calibration import cache_file
from polyyolo.models.spec import read_spec
from polyyolo.quantization.cache_tensors import all_int8, cache_tensors, float_layers, ranges, to_measure, typed_graph
from polyyolo.quantization.graph import imported
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import placement_of

OUT = "float[1,8,16,16] y"
ONE = (8, 8, 1, 1)


def tensors(model, placed, **budget):
    graph = imported(model)
    return cache_tensors(graph, placed(model, FloatBudget(**budget)))


def told(model, placed, **budget):
    return float_layers(imported(model), placed(model, FloatBudget(**budget)))


def test_they_are_those_of_tensorrts_own_cache_without_the_head(shared, models):
    own = cache_file.read(shared / "fixtures/trtexec-8.6.0/yolov5s.entropy2.cache").scales
    graph = typed_graph(read_spec(models / "yolov5s-640.onnx"))

    named = cache_tensors(graph, all_int8(graph))

    assert set(own) - set(named) == {name for name in own if "/model.24/" in name or "(Unnamed" in name} | {"output0"}
    assert len(named) == 197


def test_layers_kept_in_float_have_scales_and_are_told_to_the_builder(fragment, placed):
    """A convolution and its SiLU are one layer in TensorRT 8.6, which it cannot build with half of their scales."""
    body = "a = Conv(x, a_w)\n r = Relu(a)\n b = Conv(r, b_w)\n s = Relu(b)\n c = Conv(s, c_w)\n y = Conv(c, d_w)"
    model = fragment(body, OUT, a_w=ONE, b_w=ONE, c_w=ONE, d_w=ONE)
    model.graph.node[0].name = "the first"

    assert tensors(model, placed, names=("a", "c")) == tensors(model, placed) == ("x", "a", "r", "b", "s", "c")
    assert told(model, placed) == (), "the head has no scale and needs no word"
    assert told(model, placed, names=("a", "c")) == ("the first", "node_of_c")


def test_attention_stays_in_float(fragment, placed):
    body = (
        "a = Conv(x, a_w)\n m = MatMul(a, a)\n p = Softmax<axis = -1>(m)\n v = MatMul(p, a)\n b = Conv(v, b_w)\n"
        "c = Conv(b, c_w)\n y = Conv(c, d_w)"
    )

    assert tensors(fragment(body, OUT, **weights("abcd")), placed) == ("x", "v", "b", "c"), "b reads v in INT8"


def test_shapes_and_integers_get_no_scale(fragment, placed):
    body = (
        "a = Conv(x, a_w)\n i = Cast<to = 7>(a)\n f = Cast<to = 1>(i)\n n = Shape(a)\n r = Reshape(f, n)\n"
        "b = Conv(r, b_w)\n y = Conv(b, c_w)"
    )

    assert tensors(fragment(body, OUT, **weights("abc")), placed) == ("x", "a", "f", "r", "b")


def weights(names):
    return {f"{name}_w": ONE for name in names}


def test_tensors_that_share_a_scale_in_qdq_share_it_in_the_cache(fragment, placed, table):
    body = "a = Conv(x, a_w)\n p = MaxPool<kernel_shape = [1, 1]>(a)\n b = Conv(p, b_w)\n y = Conv(b, c_w)"
    model = fragment(body, OUT, **weights("abc"))
    graph, placement = imported(model), placed(model)

    told = ranges(table({"x": 1.0, "a": 9.0, "p": 4.0, "b": 2.0}), graph, placement)

    assert told == {"x": 1.0, "a": 4.0, "p": 4.0, "b": 2.0}


def test_what_was_not_measured_has_the_range_of_what_is_made_of_it(fragment, placed, table):
    body = (
        "a = Conv(x, a_w)\n g = Sigmoid(a)\n m = Mul(a, g)\n b = Conv(m, b_w)\n r = Relu(b)\n s = Add(m, r)\n"
        "c = Conv(s, c_w)\n h = Relu(c)\n k = Conv(h, d_w)\n t = Tanh(k)\n y = Conv(t, e_w)"
    )
    model = fragment(body, OUT, **weights("abcde"))
    graph, placement = imported(model), placed(model)

    told = ranges(table({"x": 1.0, "m": 6.0, "s": 8.0, "h": 3.0}), graph, placement)

    assert told == {"x": 1.0, "a": 6.0, "g": 1.0, "m": 6.0, "b": 8.0, "r": 8.0, "s": 8.0, "c": 3.0, "h": 3.0}
    assert placement.observed == ("x", "m", "s", "h", "t")


@pytest.mark.parametrize("name", ["yolov5s-640-3head", "yolov8n-640", "yolov4-tiny-416"])
def test_what_is_measured_suffices_for_every_tensor_of_a_cache(models, table, name):
    spec = read_spec(models / f"{name}.onnx")
    graph = typed_graph(spec)
    placement = placement_of(spec, spec.image_input.dims[2:], FloatBudget(0.10))

    told = ranges(table(dict.fromkeys(to_measure(graph, placement), 2.0)), graph, placement)

    assert tuple(told) == cache_tensors(graph, placement)
    assert set(told.values()) == ({1.0, 2.0} if "v4" not in name else {2.0})
