"""Cutting the decode gives the maps that were there before it, and what is needed to decode them again."""

import numpy as np
import onnx
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.heads import recognise
from polyyolo.models.spec import load
from polyyolo.passes import cut_decode, simplify
from polyyolo.records import HeadKind

YOLOV5 = (((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119)), ((116, 90), (156, 198), (373, 326)))


def test_the_maps_of_a_decoded_yolov5_equal_those_of_its_raw_export(models, infer, noise):
    cut = cut_decode.run(load(models / "yolov5s-640.onnx")).model
    raw = load(models / "yolov5s-640-3head.onnx")
    batch = noise(raw, 1, (640, 640))

    got, expected = infer(cut, batch), infer(raw, batch)

    assert list(got) == ["head8", "head16", "head32"]
    for one, other in zip(got.values(), expected.values(), strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() < 1e-4


@pytest.mark.parametrize("name", ["yolov5s-640.onnx", "yolov5s-dyn.onnx"])
def test_the_anchors_are_read_out_of_the_decode_not_assumed(models, name):
    cut = cut_decode.run(load(models / name)).model

    head = recognise(cut)

    assert (head.kind, head.classes, head.strides, head.anchors) == (HeadKind.V5_RAW, 80, (8, 16, 32), YOLOV5)
    assert "anchors from the metadata" in head.why


def test_anchors_that_a_training_changed_survive_the_cut(models):
    """Every constant of the decode that holds (373, 326) gets (400, 300): the metadata must follow."""
    model = simplify.run(load(models / "yolov5s-640.onnx")).model
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim == 5 and values.shape[-1] == 2 and np.any(values == 373):
            changed = np.where(values == 373, 400, np.where(values == 326, 300, values)).astype(values.dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))

    head = recognise(cut_decode.run(model).model)

    assert head.anchors[2] == ((116, 90), (156, 198), (400, 300))


@pytest.mark.parametrize("name", ["yolov8n-640.onnx", "yolov8n-dyn.onnx"])
def test_yolov8_maps_hold_the_box_distribution_first_and_decode_to_the_same_boxes(models, infer, noise, name):
    model = load(models / name)
    cut = cut_decode.run(model).model
    batch = noise(model, 1, (640, 640))

    maps, decoded = infer(cut, batch), infer(model, batch)["output0"][0]

    assert [value.shape for value in maps.values()] == [(1, 144, side, side) for side in (80, 40, 20)]
    assert np.abs(_yolov8_decode(maps) - decoded).max() < 1e-2


def _yolov8_decode(maps):
    """The rule of the YOLOv8 paper: expected distance to each side over 16 bins, in cells."""
    columns = []
    for stride, value in zip((8, 16, 32), maps.values(), strict=True):
        _, _, rows, width = value.shape
        bins = np.exp(value[0, :64].reshape(4, 16, -1))
        left, top, right, bottom = (bins / bins.sum(1, keepdims=True) * np.arange(16)[None, :, None]).sum(1)
        y, x = (axis.reshape(-1) + 0.5 for axis in np.mgrid[:rows, :width])
        box = [x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom]
        columns.append(np.concatenate([np.stack(box) * stride, 1 / (1 + np.exp(-value[0, 64:].reshape(80, -1)))]))
    return np.concatenate(columns, axis=1)


def test_raw_heads_are_left_as_they_are(models):
    model = load(models / "yolov4-tiny-416.onnx")

    result = cut_decode.run(model)

    assert (result.changed, result.model is model) == (False, True)


def test_a_model_without_head_has_nothing_to_cut():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,64,64] x) => (float[1,3,64,64] y) { y = Relu(x) }'
    )

    with pytest.raises(ModelError, match="no decode to cut"):
        cut_decode.run(model)


YOLOV6 = """all = Concat<axis = 1>(pixels, ones, scores)
        y = Transpose<perm = [0, 2, 1]>(all)"""
"""An objectness of 1 between boxes and scores; the scores alone are joined before that."""


@pytest.mark.parametrize(
    ("head", "outputs", "end"),
    [("v5", "float[1,80,7] y", YOLOV6), ("corners", "float[1,2,80] scores, float[1,4,80] pixels", "")],
)
def test_no_convolution_is_left_out_where_constants_are_joined_with_them(infer, noise, head, outputs, end):
    convs = "\n".join(
        f"{name}{stride} = Conv<kernel_shape = {[stride] * 2}, strides = {[stride] * 2}>(x, w{name}{stride})"
        f" flat_{name}{stride} = Reshape({name}{stride}, {name}_rows)"
        for stride in (8, 16)
        for name in ("class", "box")
    )
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,64,64] x) => ({outputs}) {{ {convs}
        scores = Concat<axis = 2>(flat_class8, flat_class16)  boxes = Concat<axis = 2>(flat_box8, flat_box16)
        pixels = Mul(boxes, eight)  {end} }}"""
    )
    generator = np.random.default_rng(0)
    constants = {"eight": np.float32(8), "ones": np.ones((1, 1, 80), np.float32)}
    for name, channels in (("class", 2), ("box", 4)):
        constants[f"{name}_rows"] = np.array([1, channels, -1])
        for stride in (8, 16):
            constants[f"w{name}{stride}"] = generator.normal(0, 1, (channels, 3, stride, stride)).astype(np.float32)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.helper.set_model_props(model, {"head": head})
    batch = noise(model, 1, (64, 64))

    maps, decoded = infer(cut_decode.run(model).model, batch), infer(model, batch)

    boxes = decoded["y"][0][:, [0, 1, 2, 3, 5, 6]].T if end else np.concatenate([*decoded.values()][::-1], axis=1)[0]
    assert {name: value.shape for name, value in maps.items()} == {"head8": (1, 6, 8, 8), "head16": (1, 6, 4, 4)}
    np.testing.assert_allclose(maps["head8"][0].reshape(6, -1).T * ([8] * 4 + [1] * 2), boxes[:, :64].T)
