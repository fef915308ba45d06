"""polyyolo build --calib: a cache that would spoil the engine is refused before the builder starts."""

import json
import shutil

import onnx
import pytest
from click.testing import CliRunner

from polyyolo.calibrating import write_cache
from polyyolo.cli import main
from polyyolo.engines.profiles import default
from polyyolo.models.spec import read_spec


@pytest.fixture
def polyyolo(fake_trtexec, tmp_path, monkeypatch):
    """Run polyyolo where trtexec 8.6 and an H200 are."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text('#!/bin/sh\necho "NVIDIA H200, 9.0"\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(smi.parent), prepend=":")
    monkeypatch.setenv("TRTEXEC", str(fake_trtexec("8.6.0")))

    def run(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    return run


@pytest.fixture(scope="module")
def made(little_yolo, little_pictures, tmp_path_factory):
    """A folder with a cache that fits, and its manifest beside it."""
    spec, folder = read_spec(little_yolo), tmp_path_factory.mktemp("made")
    write_cache(spec, little_pictures, default(spec), "8.6.0", folder / "e.plan.cache")
    return folder


@pytest.fixture
def cache(made, tmp_path):
    return shutil.copytree(made, tmp_path / "made") / "e.plan.cache"


def other(text):
    """Give the scales to tensors of another model."""
    header, *lines = text.splitlines(keepends=True)
    return header + "".join(f"/model.{line}" for line in lines)


def line(text):
    """Give the fifth scale's line."""
    return text.splitlines()[5]


DAMAGED = {
    "is missing or empty": lambda _: "",
    "is a binary file": lambda _: "\x00\x01\x02" * 300,
    "ends in the middle of": lambda text: text[:-4],
    "MinMaxCalibration": lambda text: text.replace("EntropyCalibration2", "MinMaxCalibration"),
    "TensorRT 10.3": lambda text: text.replace("TRT-8600", "TRT-100300"),
    "it was made for another one": other,
    "gives": lambda text: text + line(text).rpartition(" ")[0] + " 3f800000\n",
    "inf": lambda text: text.replace(line(text), line(text).rpartition(" ")[0] + " 7f800000"),
}


@pytest.mark.parametrize("told", DAMAGED)
def test_a_cache_that_would_spoil_the_engine_is_one_error_before_the_builder_starts(
    polyyolo, cache, little_yolo, tmp_path, told
):
    cache.write_text(DAMAGED[told](cache.read_text()))
    cache.with_name(f"{cache.name}.json").unlink()

    done = polyyolo("build", little_yolo, "--calib", cache, "-o", tmp_path / "out" / "e.plan")

    assert done.exit_code == 2, done.output
    assert done.stderr.count("error: ") == done.stderr.count("\n  fix: ") == 1
    assert str(cache) in done.stderr
    assert told in done.stderr
    assert not list(tmp_path.glob("out/*"))


def test_a_cache_that_was_changed_by_hand_is_not_what_its_manifest_tells_of(polyyolo, cache, little_yolo, tmp_path):
    cache.write_text(cache.read_text().replace(line(cache.read_text()) + "\n", ""))

    done = polyyolo("build", little_yolo, "--calib", cache, "-o", tmp_path / "out" / "e.plan")

    assert done.exit_code == 2, done.output
    assert "it was changed after e.plan.cache.json was written beside it" in done.stderr
    assert not list(tmp_path.glob("out/*"))


def test_a_cache_of_an_earlier_state_of_the_model_is_stale(polyyolo, cache, little_yolo, tmp_path):
    """Only the manifest can tell: names and shapes of the tensors are the same."""
    changed = onnx.load(little_yolo)
    changed.graph.initializer[-1].raw_data = bytes(len(changed.graph.initializer[-1].raw_data))
    onnx.save(changed, tmp_path / "changed.onnx")

    done = polyyolo("build", tmp_path / "changed.onnx", "--calib", cache, "-o", tmp_path / "out" / "e.plan")

    assert done.exit_code == 2, done.output
    assert "it is stale: made for model" in done.stderr
    assert not list(tmp_path.glob("out/*"))


def test_what_is_doubtful_about_a_cache_is_in_the_json_too(polyyolo, little_yolo, cache, tmp_path):
    cache.with_name(f"{cache.name}.json").unlink()

    done = polyyolo("build", little_yolo, "--calib", cache, "-o", tmp_path / "new.plan", "--json")

    assert done.exit_code == 0, done.output
    [warning] = json.loads(done.stdout)["warnings"]
    assert "nothing tells which model and pictures it was made with" in warning["message"]
