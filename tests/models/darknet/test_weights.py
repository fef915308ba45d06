"""A weights file has exactly the numbers that its cfg takes, or is refused with the counts."""

import numpy as np
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.darknet import convert
from polyyolo.models.darknet.cfg import read_cfg
from polyyolo.models.darknet.network import read_network
from polyyolo.models.darknet.weights import read_header, read_weights

TEXT = """[net]
width=32
height=32
[convolutional]
batch_normalize=1
filters=6
activation=linear
[convolutional]
filters=7
activation=linear
[yolo]
anchors=10,14
classes=2
"""
COUNT = 6 * 4 + 6 * 3 + 7 + 7 * 6  # 91


def numbers():
    return np.arange(1, COUNT + 1, dtype=np.float32)


def header(major, minor, revision, seen_bytes):
    return np.array([major, minor, revision], "<i4").tobytes() + bytes(seen_bytes)


def test_batch_normalisation_is_folded_with_darknets_epsilon(write_model):
    """Stored as bias, scale, mean, variance, kernel; 1e-5 is added to the variance."""
    cfg, weights = write_model(TEXT, numbers())
    network = read_network(read_cfg(cfg))
    (kernel, bias), (head_kernel, head_bias) = read_weights(weights, network)

    scale, mean, variance = np.arange(7, 13), np.arange(13, 19), np.arange(19, 25)
    factor = scale / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(kernel[:, :, 0, 0], np.arange(25, 43).reshape(6, 3) * factor[:, None], rtol=1e-6)
    np.testing.assert_allclose(bias, np.arange(1, 7) - mean * factor, rtol=1e-6)
    assert (head_bias[0], head_kernel[0, 0, 0, 0]) == (43, 50)


@pytest.mark.parametrize(("version", "seen_bytes"), [((0, 1, 0), 4), ((0, 2, 0), 8), ((0, 2, 5), 8), ((1, 0, 0), 8)])
def test_the_count_of_pictures_has_eight_bytes_from_version_0_2_on(write_model, tmp_path, version, seen_bytes):
    cfg, weights = write_model(TEXT, numbers(), header(*version, seen_bytes))
    assert convert(cfg, weights, tmp_path / "out.onnx", names=("a", "b")).is_file()
    with weights.open("rb") as stream:
        assert read_header(stream, weights).length == 12 + seen_bytes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-4], "too short: 90 weights where the cfg takes 91"),
        (lambda data: data[:-1], "too short: 90.75 weights where the cfg takes 91"),
        (lambda data: data + data, "too long: 187 weights where the cfg takes 91"),
        (lambda data: data[:7], "has 7 bytes: too short for a header"),
        (lambda data: data[:0], "has 0 bytes: too short for a header"),
        (lambda data: b"PK\x03\x04" + data[4:], "not a darknet weights file"),
        (lambda data: data[:-4] + np.array([np.nan], "<f4").tobytes(), "not finite in layer 1"),
        (lambda data: data[:92] + np.array([np.inf], "<f4").tobytes() + data[96:], "not finite in layer 0"),
        (lambda data: data[:92] + np.array([-1], "<f4").tobytes() + data[96:], "a variance below zero in layer 0"),
        (lambda data: data[:44] + np.array([3e38], "<f4").tobytes() + data[48:], "beyond float32"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_the_counts(write_model, tmp_path, change, message):
    cfg, weights = write_model(TEXT, numbers())
    weights.write_bytes(change(weights.read_bytes()))
    with pytest.raises(ModelError) as error:
        convert(cfg, weights, tmp_path / "out.onnx")

    assert message in error.value.message
    assert error.value.fix
    assert not (tmp_path / "out.onnx").exists()


def test_weights_of_another_model_are_refused(models, tmp_path):
    with pytest.raises(ModelError, match="too short: 6,062,814 weights where the cfg takes 8,858,734"):
        convert(models / "yolov3-tiny.cfg", models / "yolov4-tiny.weights", tmp_path / "out.onnx")


def test_missing_weights_are_refused(write_model, tmp_path):
    cfg, weights = write_model(TEXT, numbers())
    weights.unlink()
    with pytest.raises(ModelError, match=r"cannot read .*small\.weights"):
        convert(cfg, weights, tmp_path / "out.onnx")
