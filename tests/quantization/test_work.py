"""Multiply-accumulates, counted by hand."""

import numpy as np
import onnx
import pytest

from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.work import macs


@pytest.fixture
def counted(fragment, tmp_path):
    def count(body, size=(16, 16), dims=None, **weights):
        model = fragment(body, **weights)
        for axis, name in (dims or {}).items():
            model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
        del model.graph.value_info[:]
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = weights.get("x", (1, 3))[1]
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return macs(load(path), read_spec(path), size)

    return count


RGB = (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("body", "weights", "by_hand"),
    [
        (
            "y = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]>(x, w)",
            (8, 3, 3, 3),
            8 * 8 * 8 * 3 * 9,
        ),
        ("y = Conv<group = 3>(x, w)", (6, 1, 2, 2), 6 * 15 * 15 * 4),
        ("y = ConvTranspose<strides = [2, 2]>(x, w)", (3, 5, 2, 2), 3 * 16 * 16 * 5 * 4),
        ("y = MatMul(x, w)", (16, 7), 3 * 16 * 7 * 16),
        ("y = MatMul(x, w)", (3, 16, 7), 3 * 16 * 7 * 16),
        ("y = MatMul(w, x)", (7, 16), 3 * 7 * 16 * 16),
        ("f = Flatten(x)  y = Gemm(f, w)", (768, 10), 768 * 10),
        ("f = Flatten(x)  y = Gemm<transB = 1>(f, w)", (10, 768), 768 * 10),
    ],
    ids=["Conv", "grouped", "ConvTranspose", "MatMul", "batched", "weights first", "Gemm", "Gemm transposed"],
)
def test_work_is_counted_as_by_hand(counted, body, weights, by_hand):
    assert counted(body, x=RGB, w=weights) == {"y": by_hand}


def test_open_axes_are_counted_for_one_picture_of_the_size_asked_for(counted):
    body = "a = Conv(x, w1)  y = Conv<strides = [2, 2]>(a, w2)"

    found = counted(body, (32, 64), {0: "n", 2: "h", 3: "w"}, x=RGB, w1=(4, 3, 1, 1), w2=(2, 4, 1, 1))

    assert found == {"a": 4 * 32 * 64 * 3, "y": 2 * 16 * 32 * 4}


def test_a_batch_that_a_reshape_of_attention_holds_is_counted_behind_it_too(counted):
    body = """
        shape = Constant<value_ints = [4, 2, 96]>()
        back = Constant<value_ints = [4, 3, 8, 8]>()
        a = Reshape(x, shape)
        b = Reshape(a, back)
        y = Conv(b, w)
    """

    assert counted(body, (8, 8), x=(4, 3, 8, 8), w=(4, 3, 1, 1)) == {"y": 4 * 8 * 8 * 3}


def test_work_behind_onnx_runtimes_own_q_and_dq_is_counted(fragment, tmp_path):
    model = fragment(
        "q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  y = Conv(d, w)",
        x=RGB,
        w=(4, 3, 1, 1),
        constants={"s": np.float32(1), "z": np.int8(0)},
    )
    for node in model.graph.node[:2]:
        node.domain = "com.microsoft"
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    del model.graph.value_info[:]
    onnx.save(model, tmp_path / "model.onnx")

    assert macs(model, read_spec(tmp_path / "model.onnx"), (16, 16)) == {"y": 4 * 16 * 16 * 3}


def test_a_batch_in_the_model_does_not_multiply_the_work(counted):
    assert counted("y = Conv(x, w)", x=(8, 3, 16, 16), w=(4, 3, 1, 1)) == {"y": 4 * 16 * 16 * 3}


def test_products_of_activations_are_not_counted(counted):
    assert counted("y = MatMul(x, x)", x=RGB) == {}


def test_the_work_of_an_int8_model_is_that_of_its_original(little_yolo, placed, table):
    spec, model = read_spec(little_yolo), load(little_yolo)
    placement = placed(model)
    made = insert(model, placement, table(dict.fromkeys(placement.observed, 1.0)))

    assert macs(made, spec, (64, 64)) == macs(model, spec, (64, 64))


@pytest.mark.parametrize(("name", "published"), [("yolov5s-640", 16.5), ("yolov8n-640", 8.7)])
def test_real_models_do_the_work_that_their_authors_publish(models, name, published):
    """Ultralytics' tables give GFLOPs at 640 pixels, two to a multiply-accumulate, small layers included."""
    path = models / f"{name}.onnx"

    total = sum(macs(load(path), read_spec(path), (640, 640)).values())

    assert 2 * total / 1e9 == pytest.approx(published, rel=0.02)


def test_a_dynamic_model_does_the_same_work_as_the_static_one(models):
    fixed, free = models / "yolov5s-640.onnx", models / "yolov5s-dyn.onnx"

    static = sum(macs(load(fixed), read_spec(fixed), (640, 640)).values())
    dynamic = sum(macs(load(free), read_spec(free), (640, 640)).values())

    assert dynamic == static
