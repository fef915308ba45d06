"""What is quantized, fragment by fragment: the rules of TensorRT's Q/DQ placement, one at a time."""

import numpy as np
import onnx
import pytest

from polyyolo.errors import InputError
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.graph import imported
from polyyolo.quantization.placement import DECODE, HEAD, NAMED, SENSITIVE, STEM, FloatBudget, place
from polyyolo.quantization.quantize import known_nodes
from polyyolo.quantization.topology import is_weighted
from polyyolo.quantization.work import macs

SQUARE = (8, 8, 1, 1)


def grouped(placement):
    return {frozenset(group) for group in placement.groups}


def test_a_convolution_is_quantized_at_its_input_and_the_last_one_stays_in_float(fragment, placed):
    found = placed(fragment("a = Conv(x, w1)  b = Relu(a)  y = Conv(b, w2)", w1=SQUARE, w2=SQUARE))

    assert found.nodes == ("a",)
    assert found.tensors == ("x",)
    assert found.observed == ("x", "b")
    assert found.in_float == {"y": HEAD}


def test_weights_are_found_behind_nodes_that_hand_them_on(fragment, placed):
    """PyTorch writes an Identity where layers share their weights."""
    body = "v = Identity(w1)  u = Cast<to = 1>(v)  a = Conv(x, u)  b = Relu(a)  y = Conv(b, v)"

    found = placed(fragment(body, w1=SQUARE))

    assert (found.nodes, found.in_float) == (("a",), {"y": HEAD})


@pytest.mark.parametrize(
    "activation",
    ["g = Sigmoid(a)  b = Mul(a, g)", "b = LeakyRelu<alpha = 0.1>(a)", "b = HardSwish(a)", "b = Clip(a, low, high)"],
    ids=["SiLU", "LeakyReLU", "HardSwish", "ReLU6"],
)
def test_nothing_comes_between_a_convolution_and_its_activation(fragment, placed, activation):
    limits = {"low": np.float32(0), "high": np.float32(6)} if "low" in activation else {}
    body = f"a = Conv(x, w1)  {activation}  c = Conv(b, w2)  y = Conv(c, w3)"

    found = placed(fragment(body, constants=limits, w1=SQUARE, w2=SQUARE, w3=SQUARE))

    assert found.tensors == ("x", "b")


def test_all_outputs_of_a_concat_that_feeds_a_convolution_share_one_scale(fragment, placed):
    body = """a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  d = Relu(c)
              e = Concat<axis = 1>(x, b, d)  f = Conv(e, w3)  y = Conv(f, w4)"""

    found = placed(fragment(body, w1=SQUARE, w2=SQUARE, w3=(8, 24, 1, 1), w4=SQUARE))

    assert grouped(found) == {frozenset("xbde")}


def test_scales_stay_tied_through_pooling_resizing_and_slicing(fragment, placed):
    body = """a = Conv(x, w1)  b = Relu(a)
              pool = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(b)
              up = Resize<mode = "nearest">(pool, , scales)
              part = Slice(up, begin, end, axes)
              c = Conv(part, w2)  y = Conv(c, w3)"""
    constants = {
        "scales": np.array([1, 1, 2, 2], np.float32),
        "begin": np.array([0]),
        "end": np.array([4]),
        "axes": np.array([1]),
    }

    found = placed(fragment(body, constants=constants, w1=SQUARE, w2=(8, 4, 1, 1), w3=SQUARE))

    assert grouped(found) == {frozenset("x"), frozenset({"b", "pool", "up", "part"})}


def test_a_split_is_tied_when_both_halves_run_in_int8(fragment, placed):
    body = """a = Conv(x, w1)  b = Relu(a)  left, right = Split<axis = 1>(b, halves)
              c = Conv(right, w2)  d = Relu(c)  e = Concat<axis = 1>(left, right, d)
              f = Conv(e, w3)  y = Conv(f, w4)"""
    halves = {"halves": np.array([4, 4])}

    found = placed(fragment(body, constants=halves, w1=SQUARE, w2=(4, 4, 1, 1), w3=(8, 12, 1, 1), w4=SQUARE))

    assert grouped(found) == {frozenset("x"), frozenset({"b", "left", "right", "d", "e"})}


def test_a_split_stays_in_float_when_one_half_needs_float(fragment, placed):
    """YOLO11's attention: the values go on to a convolution, queries and keys, which are larger, to a MatMul."""
    body = """a = Conv(x, w1)  query, value = Split<axis = 1>(a, halves)
              large = Mul(query, hundred)  s = Sigmoid(large)  v = Mul(value, s)  c = Conv(value, w2)
              b = Add(c, v)  y = Conv(b, w3)"""
    constants = {"halves": np.array([4, 4]), "hundred": np.float32(100)}

    found = placed(fragment(body, constants=constants, w1=SQUARE, w2=(4, 4, 1, 1), w3=(4, 4, 1, 1)))

    assert grouped(found) == {frozenset("x"), frozenset({"value"})}


def test_a_concat_behind_the_head_ties_nothing(fragment, placed):
    body = "a = Conv(x, w1)  b = Relu(a)  h1 = Conv(b, w2)  h2 = Conv(b, w3)  y = Concat<axis = 1>(h1, h2)"

    found = placed(fragment(body, w1=SQUARE, w2=SQUARE, w3=SQUARE))

    assert found.in_float == {"h1": HEAD, "h2": HEAD}
    assert found.tensors == ("x",)


def test_head_convolutions_are_found_on_every_output(fragment, placed):
    """Three scales, the first of which ends long before the last convolution of the graph."""
    body = """a = Conv(x, w1)  b = Relu(a)  p3 = Conv(b, h1)
              c = Conv(b, w2)  d = Relu(c)  p4 = Conv(d, h2)  e = Conv(d, w3)  f = Relu(e)  p5 = Conv(f, h3)"""
    weights = dict.fromkeys(("w1", "w2", "w3", "h1", "h2", "h3"), SQUARE)

    found = placed(fragment(body, outputs="p3, p4, p5", **weights))

    assert found.in_float == {"p3": HEAD, "p4": HEAD, "p5": HEAD}
    assert found.nodes == ("a", "c", "e")


@pytest.mark.parametrize("product", ["MatMul(pixels, box)", "Gemm(pixels, box)"])
def test_a_matrix_that_makes_corners_of_boxes_is_no_head(fragment, placed, product):
    """YOLOv7 with NMS inside: the convolution before it is the head, which would be INT8 else, and its pixels FP16."""
    body = f"""a = Conv(x, w1)  b = Relu(a)  h = Conv(b, w2)  s = Sigmoid(h)  scaled = Mul(s, side)
               pixels = Reshape(scaled, rows)  y = {product}"""
    constants = {"rows": np.array([-1, 4]), "side": np.float32(640)}

    found = placed(fragment(body, constants=constants, w1=SQUARE, w2=(4, 8, 1, 1), box=(4, 4)))

    assert (found.in_float, found.tensors) == ({"h": HEAD, "y": DECODE}, ("x",))


def test_the_head_is_quantized_where_nothing_keeps_it_in_float(fragment, placed):
    model = fragment("a = Conv(x, w1)  b = Sigmoid(a)  c = Mul(a, b)  y = Conv(c, w2)", w1=SQUARE, w2=SQUARE)

    found = placed(model, FloatBudget(head=False))

    assert (found.nodes, found.in_float) == (("a", "y"), {})
    assert found.groups == (("x",), ("c",))


def test_an_intermediate_tensor_that_is_also_an_output_makes_no_head(fragment, placed):
    found = placed(
        fragment("a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  y = Relu(c)", outputs="b, y", w1=SQUARE, w2=SQUARE)
    )

    assert found.nodes == ("a",)
    assert found.in_float == {"c": HEAD}


def test_dfl_and_what_leads_to_it_stay_in_float(fragment, placed):
    """YOLOv8's box distribution: Softmax over 4 bins, then a 1x1 convolution that takes their mean."""
    body = """a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  h = Reshape(c, four)  t = Transpose<perm = [0, 2, 1, 3]>(h)
              s = Softmax<axis = 1>(t)  y = Conv(s, bins)"""
    constants = {"four": np.array([1, 4, 4, -1])}

    found = placed(fragment(body, constants=constants, w1=SQUARE, w2=(16, 8, 1, 1), bins=(1, 4, 1, 1)))

    assert found.nodes == ("a",)
    assert found.in_float == {"c": HEAD, "y": DECODE}
    assert found.observed == ("x", "b")


def test_a_matmul_with_constant_weights_is_quantized(fragment, placed):
    found = placed(fragment("a = MatMul(x, w1)  b = Relu(a)  y = MatMul(b, w2)", w1=(16, 16), w2=(16, 16)))

    assert found.nodes == ("a",)
    assert found.tensors == ("x",)


def test_attention_between_two_activations_is_left_alone(fragment, placed):
    body = """q = Conv(x, w1)  k = Conv(x, w2)  scores = MatMul(q, k)  s = Softmax<axis = -1>(scores)
              v = MatMul(s, k)  c = Conv(v, w3)  y = Conv(c, w4)"""

    found = placed(fragment(body, **dict.fromkeys(("w1", "w2", "w3", "w4"), SQUARE)))

    assert found.nodes == ("q", "k", "c")
    assert set(found.tensors) == {"x", "v"}


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("a = ConvTranspose<kernel_shape = [2, 2], strides = [2, 2]>(x, w1)  y = Conv(a, w2)", {"w1": (8, 8, 2, 2)}),
        ("a = Conv<group = 8, pads = [1, 1, 1, 1]>(x, w1)  y = Conv(a, w2)", {"w1": (8, 1, 3, 3)}),
    ],
    ids=["ConvTranspose", "depthwise"],
)
def test_transposed_and_depthwise_convolutions_are_quantized(fragment, placed, body, weights):
    assert placed(fragment(body, w2=SQUARE, **weights)).nodes == ("a",)


def test_weights_that_two_convolutions_share_are_no_obstacle(fragment, placed):
    found = placed(fragment("a = Conv(x, w)  b = Relu(a)  c = Conv(b, w)  d = Relu(c)  y = Conv(d, w)", w=SQUARE))

    assert found.nodes == ("a", "c")


def test_weights_in_constant_nodes_are_weights(fragment, placed):
    """Exporters other than PyTorch's write weights as Constant nodes."""
    body = """w1 = Constant<value = float[1, 1, 1, 1] {2.0}>()  a = Conv(x, w1)
              w2 = Constant<value = float[1, 1, 1, 1] {3.0}>()  y = Conv(a, w2)"""

    found = placed(fragment(body, x=(1, 1, 4, 4)))

    assert found.nodes == ("a",)


def test_a_product_of_constants_is_no_weighted_node(fragment, placed):
    model = fragment(
        "k = MatMul(w1, w2)  a = Conv(x, w3)  b = Add(a, k)  y = Conv(b, w3)", w1=(16, 16), w2=(16, 16), w3=SQUARE
    )

    assert placed(model).nodes == ("a",)


def test_a_graph_without_convolutions_has_nothing_to_quantize(fragment, placed):
    found = placed(fragment("a = Relu(x)  y = Sigmoid(a)"))

    assert (found.nodes, found.tensors, found.observed, found.in_float) == ((), (), (), {})


def test_the_stem_takes_convolutions_from_the_image_on_while_their_work_and_the_heads_fits(fragment, placed):
    body = "a = Conv(x, w1)  b = Conv(a, w2)  c = Conv(b, w3)  d = Conv(c, w4)  y = Conv(d, w5)"
    model = fragment(body, **dict.fromkeys(("w1", "w2", "w3", "w4", "w5"), SQUARE))
    work = {"a": 4, "b": 5, "c": 2, "d": 88, "y": 1}

    exactly = placed(model, FloatBudget(stem=0.10), work)
    without_gaps = placed(model, FloatBudget(stem=0.08), work)

    assert exactly.in_float == {"a": STEM, "b": STEM, "y": HEAD}
    assert without_gaps.in_float == {"a": STEM, "y": HEAD}, "c would fit, but lies behind b"


def test_what_measurement_chose_counts_in_the_budget_of_the_stem(fragment, placed):
    body = "a = Conv(x, w1)  b = Conv(a, w2)  c = Conv(b, w3)  d = Conv(c, w4)  y = Conv(d, w5)"
    model = fragment(body, **dict.fromkeys(("w1", "w2", "w3", "w4", "w5"), SQUARE))
    work = {"a": 4, "b": 5, "c": 4, "d": 86, "y": 1}

    found = placed(model, FloatBudget(stem=0.10, sensitive=("c",)), work)

    assert found.in_float == {"a": STEM, "c": SENSITIVE, "y": HEAD}


@pytest.mark.parametrize(("side", "kept"), [(6, {"a": STEM, "y": HEAD}), (3, {"y": HEAD})])
def test_a_wide_convolution_of_the_picture_is_in_the_stem_whatever_it_takes(fragment, placed, side, kept):
    model = fragment("a = Conv(x, w1)  b = Conv(a, w2)  y = Conv(b, w3)", w1=(8, 8, side, side), w2=SQUARE, w3=SQUARE)

    assert placed(model, FloatBudget(stem=0.10), {"a": 60, "b": 5, "y": 35}).in_float == kept


def test_the_largest_budget_leaves_everything_in_float(fragment, placed):
    model = fragment("a = Conv(x, w1)  b = Conv(a, w2)  y = Conv(b, w3)", w1=SQUARE, w2=SQUARE, w3=SQUARE)

    assert placed(model, FloatBudget(stem=1.0), {"a": 10, "b": 10, "y": 10}).nodes == ()


def test_a_node_is_kept_in_float_by_its_name_or_by_its_output(fragment, placed):
    model = fragment("a = Conv(x, w1)  b = Conv(a, w2)  c = Conv(b, w3)  y = Conv(c, w4)",
                     **dict.fromkeys(("w1", "w2", "w3", "w4"), SQUARE))  # fmt: skip
    model.graph.node[1].name = "/model.1/conv/Conv"

    found = placed(model, FloatBudget(names=("/model.1/conv/Conv", "c")))

    assert found.nodes == ("a",)
    assert found.in_float == {"b": NAMED, "c": NAMED, "y": HEAD}


def test_the_table_of_one_placement_serves_every_other(fragment, placed):
    """What is observed does not depend on the budget, so that a sweep calibrates once."""
    model = fragment("a = Conv(x, w1)  b = Conv(a, w2)  c = Conv(b, w3)  y = Conv(c, w4)",
                     **dict.fromkeys(("w1", "w2", "w3", "w4"), SQUARE))  # fmt: skip
    work = dict.fromkeys("abcy", 1)

    budgets = [FloatBudget(0.0), FloatBudget(0.5), FloatBudget(1.0), FloatBudget(names=("b",))]

    assert {placed(model, budget, work).observed for budget in budgets} == {("x", "a", "b", "c")}


def test_every_tensor_lies_in_one_group_alone(little_yolo, placed):
    found = placed(load(little_yolo))

    assert len(found.tensors) == len(set(found.tensors))


def test_the_little_yolo_is_placed_as_drawn(little_yolo, placed):
    found = placed(load(little_yolo))

    assert found.in_float == {"h3": HEAD, "h4": HEAD, "h5": HEAD}
    assert len(found.nodes) == 11
    assert grouped(found) == {
        frozenset({"images"}),
        frozenset({"stem"}),
        frozenset({"down1"}),
        frozenset({"cv1", "left", "right", "sum", "split"}),
        frozenset({"m1"}),
        frozenset({"cv2"}),
        frozenset({"p3"}),
        frozenset({"p4", "up", "top", "joined"}),
        frozenset({"p5", "pool", "pools"}),
    }


@pytest.mark.parametrize(
    ("name", "heads", "decode", "weighted"),
    [
        ("yolov5s-640", 3, 0, 60),
        ("yolov5s-640-3head", 3, 0, 60),
        ("yolov8n-640", 6, 1, 64),
        ("yolov4-tiny-416", 2, 0, 21),
    ],
)
def test_real_models_keep_their_heads_and_no_more(models, name, heads, decode, weighted):
    path = models / f"{name}.onnx"
    spec, model = read_spec(path), load(path)
    side = spec.image_input.dims[2]
    graph = imported(model)

    found = place(graph, macs(model, spec, (side, side)), FloatBudget(0.10))

    reasons = list(found.in_float.values())
    assert sum(map(is_weighted, graph.nodes)) == weighted
    assert (reasons.count(HEAD), reasons.count(DECODE)) == (heads, decode)
    assert len(found.nodes) == weighted - len(reasons)
    assert 1 <= reasons.count(STEM) <= 6


def test_a_tensor_stands_for_all_that_reads_it(fragment, tmp_path):
    """Reports list what each tensor costs."""
    text = "a = Conv(x, w1)  b = Relu(a)  c = Conv(b, w2)  d = Conv(b, w3)  y = Add(c, d)"
    onnx.save(fragment(text, x=(1, 3, 16, 16), w1=(8, 3, 1, 1), w2=SQUARE, w3=SQUARE), tmp_path / "two.onnx")
    spec = read_spec(tmp_path / "two.onnx")

    assert known_nodes(spec, ["b", "d"]) == ("c", "d")
    with pytest.raises(InputError, match="called 'z', and none that reads it"):
        known_nodes(spec, ["z"])
