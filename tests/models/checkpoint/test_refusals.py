"""Files and options that are no use, each with what it is and what to do."""

import zipfile

import numpy as np
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.checkpoint import convert


def refused(path, **options):
    with pytest.raises(ModelError) as error:
        convert(path, path.with_name("out.onnx"), **options)
    assert error.value.fix
    assert not path.with_name("out.onnx").exists()
    return error.value


def zip_of(path, **entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return path


def test_a_missing_file_and_a_folder(tmp_path):
    assert "No such file" in refused(tmp_path / "none.pt").message
    assert "Is a directory" in refused(tmp_path).message


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"version https://git-lfs"])
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    error = refused(path)
    assert "is no PyTorch checkpoint" in error.message
    assert "YOLOv5 or Ultralytics" in error.fix


def test_the_format_from_before_torch_1_6(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
    error = refused(path)
    assert "before torch 1.6" in error.message
    assert "torch.save it again" in error.fix


def test_a_truncated_download(forge, tmp_path):
    whole = forge.save(tmp_path / "whole.pt", {"model": forge.tiny()}).read_bytes()
    path = tmp_path / "x.pt"
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(path).message
    assert "again" in refused(path).fix


def test_a_torchscript_archive(tmp_path):
    path = zip_of(tmp_path / "x.pt", x__data_dot_pkl=b"", x__constants_dot_pkl=b"", x__code__m_dot_py=b"")
    error = refused(path)
    assert "TorchScript" in error.message
    assert "the .pt checkpoint that it was exported from" in error.fix


def test_a_zip_of_something_else(tmp_path):
    assert "without data.pkl" in refused(zip_of(tmp_path / "x.pt", readme_dot_txt=b"hello")).message


@pytest.mark.parametrize("key", ["", "model", "state_dict"])
def test_a_state_dict(forge, tmp_path, key):
    state = {"model.0.conv.weight": forge.tensor(np.ones((4, 3, 3, 3)))}
    error = refused(forge.save(tmp_path / "x.pt", {key: state} if key else state))
    assert "weights alone (a state_dict)" in error.message


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("ultralytics.nn.tasks.SegmentationModel", "a segmentation model"),
        ("ultralytics.nn.tasks.PoseModel", "a pose model"),
        ("ultralytics.nn.tasks.OBBModel", "a model of rotated boxes"),
        ("models.yolo.ClassificationModel", "a classification model"),
    ],
)
def test_another_task(forge, call, named, tmp_path, kind, what):  # noqa: PLR0917 - fixtures
    model = forge.tiny()
    module, _, name = kind.rpartition(".")
    other = call(named(module, name), (), model.state)
    error = refused(forge.save(tmp_path / "x.pt", {"model": other}))
    assert f"is {what} ({kind}), not a detector" in error.message
    assert "yolo export" in error.fix


@pytest.mark.parametrize("head", ["models.yolo.Segment", "ultralytics.nn.modules.v10Detect", "models.yolo.IDetect"])
def test_another_head(forge, tmp_path, head):
    layers = [forge.down(3, 4), forge.module(head)]
    error = refused(forge.save(tmp_path / "x.pt", {"model": forge.model(layers)}), size=(32, 32))
    assert f"model.1 ({head})" in error.message


def test_an_end_to_end_head(forge, tmp_path):
    layers = [forge.down(3, 4), forge.detect_v5(4, 2, 2)]
    layers[1].state["_modules"]["one2one_cv2"] = forge.sequence()
    error = refused(forge.save(tmp_path / "x.pt", {"model": forge.model(layers)}), size=(32, 32))
    assert "YOLOv10 and YOLO26" in error.message


@pytest.mark.parametrize("checkpoint", [{}, {"epoch": 3, "model": None}, [1], None, "text", 5])
def test_a_checkpoint_without_a_model(forge, tmp_path, checkpoint):
    assert "model" in refused(forge.save(tmp_path / "x.pt", checkpoint)).message


@pytest.mark.parametrize("size", [(33, 32), (32, 36), (4, 4)])
def test_a_size_that_does_not_divide(forge, tmp_path, size):
    error = refused(forge.save(tmp_path / "x.pt", {"model": forge.tiny()}), size=size)
    assert "does not divide into cells of 8 pixels" in error.message
    assert "multiples of 8" in error.fix


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"head": "sideways"}, "no head 'sideways'"),
        ({"opset": 10}, "opset 10"),
        ({"opset": 22}, "opset 22"),
        ({"batch": 0}, "batch 0"),
        ({"size": (0, 32)}, r"size \(0, 32\)"),
    ],
)
def test_an_option_out_of_range(forge, tmp_path, options, match):
    path = forge.save(tmp_path / "x.pt", {"model": forge.tiny()})
    with pytest.raises(ModelError, match=match):
        convert(path, tmp_path / "out.onnx", **options)


def test_weights_that_do_not_belong_together_are_named(forge, tmp_path):
    layers = [forge.down(3, 4), forge.down(5, 4), forge.detect_v5(4, 2, 4)]
    error = refused(forge.save(tmp_path / "x.pt", {"model": forge.model(layers)}), size=(32, 32))
    assert "module model.1.conv (torch.nn.modules.conv.Conv2d)" in error.message
    assert "takes 5 channels where 4 come" in error.message


def test_weights_that_are_not_finite(forge, tmp_path):
    weight = np.full((4, 3, 1, 1), np.nan, np.float32)
    layers = [forge.conv2d(weight), forge.detect_v5(4, 2, 1)]
    error = refused(forge.save(tmp_path / "x.pt", {"model": forge.model(layers)}), size=(32, 32))
    assert "not finite" in error.message


def test_a_stride_that_the_maps_do_not_have(forge, tmp_path):
    layers = [forge.down(3, 4), forge.detect_v5(4, 2, 8)]
    error = refused(forge.save(tmp_path / "x.pt", {"model": forge.model(layers)}), size=(32, 32))
    assert "strides are [8.0], but the maps that it gets have [2]" in error.message


@pytest.mark.parametrize("source", [5, -3, [], [0, 7], None, "x"])
def test_a_layer_that_takes_what_is_not_there(forge, tmp_path, source):
    model = forge.model([forge.down(3, 4), forge.down(4, 4), forge.detect_v5(4, 2, 4)], sources={1: source})
    error = refused(forge.save(tmp_path / "x.pt", {"model": model}), size=(32, 32))
    assert "module model.1 " in error.message
    assert "1 layers come before it" in error.message


def test_an_earlier_onnx_stays_when_the_conversion_fails(tmp_path):
    earlier = tmp_path / "out.onnx"
    earlier.write_bytes(b"earlier")
    with pytest.raises(ModelError):
        convert(tmp_path / "none.pt", earlier)
    assert earlier.read_bytes() == b"earlier"


def test_odd_class_names_survive(forge, tmp_path):
    from polyyolo.models.spec import read_spec

    layers = [forge.down(3, 4), forge.detect_v5(4, 2, 2)]
    model = forge.model(layers, names={0: "Ampel \N{HORIZONTAL TRAFFIC LIGHT}", 1: "\ud800"})
    spec = read_spec(convert(forge.save(tmp_path / "x.pt", {"model": model}), tmp_path / "x.onnx", size=(32, 32)))
    assert spec.names == ("Ampel \N{HORIZONTAL TRAFFIC LIGHT}", "\ud800")
