"""The ONNX gives the numbers that darknet gives."""

import json

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.darknet import convert
from polyyolo.models.darknet.cfg import read_cfg
from polyyolo.models.darknet.network import read_network
from polyyolo.models.spec import read_spec
from polyyolo.records import HeadKind

HEAD = """
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
num=2
"""
NET = "[net]\nwidth=64\nheight=32\nchannels=3\n"
STEM = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"


def run(path, image):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": image})


def weights_for(text, cfg_path):
    """Signed numbers everywhere but in the variances, so that padding and activations are told apart."""
    cfg_path.write_text(text)
    network = read_network(read_cfg(cfg_path))
    random = np.random.default_rng(7)
    parts = []
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        parts.append(random.normal(size=layer.filters) - 0.5)
        if layer.batch_normalize:
            parts += [random.normal(size=layer.filters), random.normal(size=layer.filters)]
            parts.append(random.random(layer.filters) + 0.5)
        fan_in = int(np.prod(layer.kernel[1:]))
        parts.append(random.normal(size=int(np.prod(layer.kernel))) / np.sqrt(fan_in))
    return np.concatenate(parts).astype(np.float32)


def test_yolov4_tiny_gives_the_reference_heads_on_real_pictures(models, val, tmp_path):
    """darknet's own weights against an export that other code made of them."""
    output = convert(models / "yolov4-tiny.cfg", models / "yolov4-tiny.weights", tmp_path / "v4.onnx")

    for picture in sorted((val / "images").iterdir())[:4]:
        pixels = cv2.resize(cv2.imread(str(picture)), (416, 416))[:, :, ::-1].transpose(2, 0, 1)[None]
        image = np.ascontiguousarray(pixels, np.float32) / 255
        for got, wanted in zip(run(output, image), run(models / "yolov4-tiny-416.onnx", image), strict=True):
            assert np.abs(got - wanted).max() < 1e-4


def test_the_spec_reads_all_that_a_decoder_needs(models, tmp_path):
    spec = read_spec(convert(models / "yolov4-tiny.cfg", models / "yolov4-tiny.weights", tmp_path / "v4.onnx"))

    assert (spec.head.kind, spec.head.classes, spec.stride) == (HeadKind.DARKNET_RAW, 80, 32)
    assert (spec.head.outputs, spec.head.strides) == (("head32", "head16"), (32, 16))
    assert spec.head.anchors[0] == ((81, 82), (135, 169), (344, 319))
    assert spec.head.anchors[1] == ((23, 27), (37, 58), (81, 82))
    assert spec.head.scale_xy == (1.05, 1.05)
    assert spec.names[0] == "person"
    assert len(spec.names) == 80


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_yolov3_tiny_matches_numpy_at_every_opset(models, tmp_path, numpy_darknet, write_model, opset):
    """Its stride 1 pool pads right and below only; a padding of 0 instead of -inf would show here."""
    text = (models / "yolov3-tiny.cfg").read_text()
    numbers = weights_for(text, tmp_path / "probe.cfg")
    cfg, weights = write_model(text, numbers)
    image = np.random.default_rng(1).random((1, 3, 64, 96), np.float32)

    output = convert(cfg, weights, tmp_path / "v3.onnx", size=(64, 96), opset=opset)

    assert onnx.load(output).opset_import[0].version == opset
    for got, wanted in zip(run(output, image), numpy_darknet(text, numbers)(image), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


BODIES = {
    "leaky": "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky\n",
    "mish": "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=mish\n",
    "swish": "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=swish\n",
    "relu": "[convolutional]\nfilters=8\nsize=1\nactivation=relu\n",
    "logistic": "[convolutional]\nfilters=8\nsize=3\npad=1\n",
    "grouped convolution": "[convolutional]\nfilters=8\nsize=3\npad=1\ngroups=4\nactivation=linear\n",
    "even pool": "[maxpool]\nsize=2\nstride=2\n",
    "stride 1 pool": "[maxpool]\nsize=2\nstride=1\n",
    "spp pool": "[maxpool]\nsize=5\nstride=1\n",
    "wide pool": "[maxpool]\nsize=3\nstride=2\n",
    "pool without padding": "[maxpool]\nsize=4\nstride=4\npadding=0\n",
    "pool without size": "[maxpool]\nstride=2\n",
    "second half": "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n",
    "two quarters": "[convolutional]\nfilters=8\nactivation=linear\n[route]\nlayers=-1,0\ngroups=4\ngroup_id=2\n",
    "whole route": "[convolutional]\nfilters=4\nactivation=linear\n[route]\nlayers=0\n",
    "shortcut": "[convolutional]\nfilters=8\nactivation=linear\n[shortcut]\nfrom=-2\nactivation=leaky\n",
    "double shortcut": "[convolutional]\nfilters=8\nactivation=linear\n[shortcut]\nfrom=-2,0\n",
    "upsample": "[maxpool]\nstride=4\nsize=4\npadding=0\n[upsample]\nstride=2\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_each_layer_matches_numpy(tmp_path, numpy_darknet, write_model, body):
    text = NET + STEM + body + HEAD
    numbers = weights_for(text, tmp_path / "probe.cfg")
    cfg, weights = write_model(text, numbers)
    image = np.random.default_rng(1).random((1, 3, 32, 64), np.float32)

    (got,) = run(convert(cfg, weights, tmp_path / "out.onnx"), image)

    (wanted,) = numpy_darknet(text, numbers)(image)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_dynamic_model_gives_what_static_ones_give(models, tmp_path):
    cfg, weights = models / "yolov4-tiny.cfg", models / "yolov4-tiny.weights"
    dynamic = convert(cfg, weights, tmp_path / "dynamic.onnx", dynamic=True)
    static = convert(cfg, weights, tmp_path / "static.onnx", size=(64, 160), batch=2)
    image = np.random.default_rng(0).random((2, 3, 64, 160), np.float32)

    assert read_spec(static).inputs[0].dims == (2, 3, 64, 160)
    assert read_spec(dynamic).inputs[0].dims == ("batch", 3, "height", "width")
    for one, other in zip(run(dynamic, image), run(static, image), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


NEW_COORDS = HEAD.replace("linear", "logistic") + "new_coords=1\nscale_x_y=2.0\n"


def test_new_coords_become_yolov5_raw_heads(tmp_path, numpy_darknet, write_model):
    """YOLOv7-tiny's rule is YOLOv5's, with the sigmoid in the last convolution: it is left to the decoder."""
    text = NET + STEM + "[maxpool]\nsize=4\nstride=4\n" + NEW_COORDS
    numbers = weights_for(text, tmp_path / "probe.cfg")
    cfg, weights = write_model(text, numbers)
    image = np.random.default_rng(1).random((1, 3, 32, 64), np.float32)

    output = convert(cfg, weights, tmp_path / "v7.onnx", names=("cat", "dog"))

    (raw,), (after,) = run(output, image), numpy_darknet(text, numbers)(image)
    np.testing.assert_allclose(1 / (1 + np.exp(-raw)), after, atol=1e-5)
    spec = read_spec(output)
    assert (spec.head.kind, spec.head.strides, spec.names) == (HeadKind.V5_RAW, (8,), ("cat", "dog"))
    assert spec.head.anchors == (((10, 14), (23, 27)),)


def test_another_new_coords_rule_is_refused(tmp_path, write_model):
    text = NET + STEM + NEW_COORDS.replace("2.0", "1.5")
    cfg, weights = write_model(text, np.zeros(0))
    with pytest.raises(ModelError, match=r"small.cfg:17: \[yolo\] has new_coords=1, scale_x_y=1.5"):
        convert(cfg, weights, tmp_path / "out.onnx")


def test_heads_of_one_stride_get_names_of_their_own(tmp_path, write_model):
    text = NET + STEM + HEAD + "[route]\nlayers=0\n" + HEAD
    cfg, weights = write_model(text, weights_for(text, tmp_path / "probe.cfg"))
    model = onnx.load(convert(cfg, weights, tmp_path / "out.onnx", names=("cat", "dog")))
    metadata = {entry.key: entry.value for entry in model.metadata_props}

    assert [output.name for output in model.graph.output] == ["head2a", "head2b"]
    assert json.loads(metadata["strides"]) == [2, 2]


@pytest.mark.parametrize("options", [{"opset": 12}, {"opset": 99}, {"batch": 0}, {"size": (33, 64)}, {"size": (0, 64)}])
def test_what_cannot_be_had_is_refused(tmp_path, models, options):
    with pytest.raises(ModelError):
        convert(models / "yolov4-tiny.cfg", models / "yolov4-tiny.weights", tmp_path / "out.onnx", **options)
    assert not (tmp_path / "out.onnx").exists()
