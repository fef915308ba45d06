"""A calibration cache from pictures in one step."""

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo.calibrating import holds_pictures, kept_in_float, write_cache
from polyyolo.calibration import cache_file, cache_manifest
from polyyolo.engines.profiles import default
from polyyolo.errors import ModelError, PictureError
from polyyolo.models.spec import read_spec


@pytest.fixture
def made(little_yolo, tmp_path):
    """Write a cache of the little model for a TensorRT from pictures."""
    spec = read_spec(little_yolo)
    return lambda source, tensorrt="8.6": write_cache(spec, source, default(spec), tensorrt, tmp_path / "yolo.cache")


def test_a_folder_of_pictures_becomes_a_cache_with_its_manifest(made, little_pictures, tmp_path):
    manifest = made(little_pictures)

    cache = cache_file.read(tmp_path / "yolo.cache")
    assert cache.version == 8600
    assert {"stem", "joined", "p4_conv"} < set(cache.scales)
    assert {"images", "stem_conv"} < set(cache.scales)
    assert "output0" not in cache.scales, "the head stays in float for want of a scale"
    assert manifest.float_layers == ("node_of_stem_conv",), "nearest the image: the builder is told"
    assert (manifest.pictures, manifest.batches, manifest.promised) == (24, 24, 24)


def test_an_npy_of_tensors_does_too(made, tmp_path):
    values = np.random.default_rng(0).random((6, 3, 64, 64), np.float32)
    np.save(tmp_path / "pictures.npy", values)

    assert made(tmp_path / "pictures.npy").pictures == 6


def test_an_npy_of_another_size_is_refused_before_anything_is_written(made, tmp_path):
    np.save(tmp_path / "pictures.npy", np.zeros((6, 3, 32, 32), np.float32))

    with pytest.raises(PictureError, match="32"):
        made(tmp_path / "pictures.npy")

    assert not (tmp_path / "yolo.cache").exists()


def test_a_model_that_takes_more_than_a_picture_is_not_calibrated(little_yolo, little_pictures, tmp_path):
    model = onnx.load(little_yolo)
    model.graph.input.append(onnx.helper.make_tensor_value_info("scale", onnx.TensorProto.FLOAT, [2]))
    onnx.save(model, tmp_path / "two.onnx")
    spec = read_spec(tmp_path / "two.onnx")

    with pytest.raises(ModelError, match=r"takes more than a picture: scale float32 \(2\)"):
        write_cache(spec, little_pictures, default(spec), "8.6", tmp_path / "two.cache")


def test_the_same_again_is_not_calibrated_again(made, little_pictures, tmp_path, monkeypatch):
    first = made(little_pictures)
    written = (tmp_path / "yolo.cache").stat().st_mtime_ns
    monkeypatch.setattr("polyyolo.calibrating.calibrate", lambda *_, **__: pytest.fail("it calibrated"))

    assert made(little_pictures) == first
    assert (tmp_path / "yolo.cache").stat().st_mtime_ns == written


@pytest.mark.parametrize("change", ["tensorrt", "pictures", "bytes"])
def test_another_tensorrt_other_pictures_or_a_changed_cache_are_calibrated_again(
    made, little_pictures, tmp_path, change
):
    made(little_pictures)
    cache = tmp_path / "yolo.cache"
    source = min(little_pictures.iterdir()) if change == "pictures" else little_pictures
    if change == "bytes":
        cache.write_text(cache.read_text().replace("3c", "3d"))
    before = cache.read_bytes()

    made(source, "10.3" if change == "tensorrt" else "8.6")

    assert cache.read_bytes() != before


def test_a_cache_that_keeps_other_layers_in_float_is_made_again(made, little_pictures, tmp_path):
    """What stays in float is planned before the cache is there."""
    first = made(little_pictures)
    cache_manifest.write(evolve(first, float_layers=()), tmp_path / "yolo.cache")

    assert made(little_pictures) == first


def test_what_a_cache_will_keep_in_float_is_known_before_it_is_made(made, little_yolo, little_pictures):
    spec = read_spec(little_yolo)

    assert kept_in_float(spec, default(spec)) == made(little_pictures).float_layers


def test_pictures_are_told_from_caches(tmp_path, little_pictures):
    cache = tmp_path / "cache.txt"
    cache.write_text("TRT-8600-EntropyCalibration2\nimages: 3c010a14\n")
    (tmp_path / "list.txt").write_text("a.png\n")

    names = [little_pictures, tmp_path / "x.npy", tmp_path / "list.txt", tmp_path / "data.yaml", tmp_path / "a.JPG"]
    assert [holds_pictures(path) for path in names] == [True] * 5
    assert [holds_pictures(path) for path in (cache, tmp_path / "calibration.cache", tmp_path / "none.txt")] == [
        False,
        False,
        True,
    ]
