"""An even kernel on the picture gets a row and column of zeros; the numbers stay."""

import numpy as np
import onnx
import pytest

from polyyolo.passes import odd_kernel

CONV = "y = Conv<{}>(x, w, b)"
SIX = "kernel_shape = [6, 6], pads = [2, 2, 2, 2], strides = [2, 2]"


PLAIN = CONV.format(SIX)


def model(body=PLAIN, kernel=(16, 3, 6, 6), picture="1, 3, 64, 96", *, outputs="y"):
    weights = np.random.default_rng(1).standard_normal(kernel).astype(np.float32)
    made = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> even (float[{picture}] x) => ({outputs}) {{ {body} }}'
    )
    held = {"w": weights, "b": np.arange(len(weights), dtype=np.float32)}
    made.graph.initializer.extend(onnx.numpy_helper.from_array(values, name) for name, values in held.items())
    made = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(made, full_check=True)
    return made


@pytest.mark.parametrize("side", [2, 4, 6])
def test_it_becomes_the_next_odd_one_and_makes_the_same_numbers(infer, noise, side):
    pad = side // 2 - 1
    attributes = f"kernel_shape = [{side}, {side}], pads = [{pad}, {pad}, {pad}, {pad}], strides = [2, 2]"
    before = model(CONV.format(attributes), (32, 3, side, side))

    result = odd_kernel.run(before)
    (conv,) = result.model.graph.node
    told = {each.name: list(each.ints) for each in conv.attribute}
    weight = next(onnx.numpy_helper.to_array(each) for each in result.model.graph.initializer if each.name == "w_odd")

    onnx.checker.check_model(result.model, full_check=True)
    assert result.notes == ("kernels with a row and column more: 1",)
    assert (told["kernel_shape"], told["pads"]) == ([side + 1, side + 1], [pad + 1] * 4)
    assert weight.shape == (32, 3, side + 1, side + 1)
    assert not weight[:, :, 0].any()
    assert not weight[:, :, :, 0].any()
    batch = noise(before, 1, (64, 96)) - 0.5
    expected, got = infer(before, batch)["y"], infer(result.model, batch)["y"]
    assert expected.shape == got.shape
    assert np.abs(expected - got).max() < 1e-4


@pytest.mark.parametrize(
    ("body", "kernel", "picture"),
    [
        (CONV.format(SIX), (16, 3, 6, 6), "1, 3, 64, 95"),
        (CONV.format(SIX), (16, 3, 6, 6), "1, 3, h, w"),
        (CONV.format(SIX), (24, 3, 6, 6), "1, 3, 64, 96"),
        (CONV.format(SIX), (16, 5, 6, 6), "1, 5, 64, 96"),
        (CONV.format(SIX.replace("6", "3")), (16, 3, 3, 3), "1, 3, 64, 96"),
        (CONV.format(SIX.replace("6", "8")), (16, 3, 8, 8), "1, 3, 64, 96"),
        (CONV.format(SIX.replace("[6, 6]", "[6, 4]")), (16, 3, 6, 4), "1, 3, 64, 96"),
        (CONV.format(SIX.replace("strides = [2, 2]", "strides = [1, 1]")), (16, 3, 6, 6), "1, 3, 64, 96"),
        (CONV.format(SIX.replace("[2, 2, 2, 2]", "[2, 2, 3, 3]")), (16, 3, 6, 6), "1, 3, 64, 96"),
        (CONV.format(SIX.replace("pads = [2, 2, 2, 2]", 'auto_pad = "SAME_UPPER"')), (16, 3, 6, 6), "1, 3, 64, 96"),
        (CONV.format(SIX + ", dilations = [2, 2]"), (16, 3, 6, 6), "1, 3, 64, 96"),
        (CONV.format(SIX + ", group = 2"), (16, 1, 6, 6), "1, 2, 64, 96"),
        ("z = Relu(x)  y = Conv<" + SIX + ">(z, w, b)", (16, 3, 6, 6), "1, 3, 64, 96"),
    ],
    ids=[
        "an odd side",
        "an open size",
        "other channels out",
        "many channels in",
        "odd already",
        "too large",
        "not square",
        "a step of 1",
        "padded unlike",
        "padded by a rule",
        "dilated",
        "in groups",
        "behind another node",
    ],
)
def test_others_stay_as_they_are(body, kernel, picture):
    before = model(body, kernel, picture)

    result = odd_kernel.run(before)

    assert (result.changed, result.model is before) == (False, True)
    assert result.notes == ("no convolution of the picture with an even kernel",)


def test_weights_that_another_convolution_reads_stay_there():
    body = f"y = Conv<{SIX}>(x, w, b)  p = Relu(x)  z = Conv<{SIX}>(p, w, b)"
    result = odd_kernel.run(model(body, outputs="y, z"))

    assert [node.input[1] for node in result.model.graph.node if node.op_type == "Conv"] == ["w_odd", "w"]


def test_a_name_that_is_taken_is_not_given_twice():
    body = f"w_odd = Neg(x)  y = Conv<{SIX}>(x, w, b)"
    result = odd_kernel.run(model(body, outputs="y, w_odd"))

    onnx.checker.check_model(result.model, full_check=True)
    assert next(node.input[1] for node in result.model.graph.node if node.op_type == "Conv") == "w_odd_"
