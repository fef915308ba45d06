"""TensorRT's own calibrators, fed by ours: Polygraphy's real Calibrator over a stand-in for TensorRT."""

import json
import shlex
import sys

import pytest
from click.testing import CliRunner

from polyyolo.calibration import cache_manifest
from polyyolo.cli import main
from polyyolo.engines.gpu import first_gpu
from polyyolo.records import Toolchain, ToolchainKind

PLAYED = f"""#!{sys.executable}
import os, pathlib, sys
from types import SimpleNamespace
import numpy as np
from polygraphy import mod
from polygraphy.backend.trt import calibrator as backend
from polygraphy.common import TensorMetadata

told = dict(zip(sys.argv[1:], sys.argv[2:]))
kinds = ("EntropyCalibrator2", "MinMaxCalibrator", "LegacyCalibrator", "EntropyCalibrator", "Calibrator")
backend.trt = SimpleNamespace(**{{f"IInt8{{kind}}": type(kind, (), {{}}) for kind in kinds}})
backend.trt_util = SimpleNamespace(_get_array_on_gpu=lambda array, name, _: print(name, array.shape))
load_data = mod.import_from_script(told["--data-loader-script"], name="load_data")
base = getattr(backend.trt, told["--calib-base-cls"])
made = backend.Calibrator(load_data(), cache=told["--calibration-cache"], BaseClass=base)
made.set_input_metadata(TensorMetadata().add("images", np.float32, (1, 3, 64, 64)))
assert made.read_calibration_cache() is None, "an old cache was left"
made.reset()
LIMIT
made.write_calibration_cache(np.frombuffer(b"TRT-8600-MinMaxCalibration\\nimages: 3c010a14\\n", np.uint8))
pathlib.Path(told["-o"]).write_bytes(b"ftrt" + bytes(4) + (64).to_bytes(8, "little") + bytes(48))
"""
EVERY = 'while made.get_batch(["images"]) is not None: pass'


@pytest.fixture
def polyyolo(tmp_path, monkeypatch):
    """Run polyyolo where Polygraphy is what is played, with TensorRT 8.6 or another."""

    def run(*words, takes=EVERY, tensorrt="8.6.1"):
        script = tmp_path / "polygraphy"
        script.write_text(PLAYED.replace("LIMIT", takes))
        script.chmod(0o755)
        found = Toolchain(ToolchainKind.TENSORRT, tensorrt=tensorrt, polygraphy="0.53.6", polygraphy_path=script)
        monkeypatch.setattr("polyyolo.engines.toolchain.find", lambda _: found)
        return CliRunner().invoke(main, [str(word) for word in words])

    return run


@pytest.mark.parametrize(
    ("calibrator", "base"),
    [
        ("entropy2", "IInt8EntropyCalibrator2"),
        ("minmax", "IInt8MinMaxCalibrator"),
        ("legacy", "IInt8LegacyCalibrator"),
        ("entropy", "IInt8EntropyCalibrator"),
    ],
)
def test_every_picture_is_taken_and_the_manifest_says_so(
    polyyolo, little_yolo, little_pictures, tmp_path, *, calibrator, base
):
    engine = tmp_path / "yolo.plan"
    engine.with_name("yolo.plan.cache").write_text("TRT-8600-EntropyCalibration2\nold: 0\n")

    done = polyyolo("build", little_yolo, "--calib", little_pictures, "--calibrator", calibrator, "-o", engine)

    assert done.exit_code == 0, done.output
    cache = tmp_path / "yolo.plan.cache"
    manifest = cache_manifest.read(cache)
    assert (manifest.method, manifest.pictures, manifest.batches, manifest.promised) == (base, 24, 24, 24)
    assert cache.read_text().startswith("TRT-8600-MinMax")
    log = (tmp_path / "yolo.plan.log").read_text()
    assert log.count("images (1, 3, 64, 64)") == 24
    assert ("--quantile 0.9999" in log) == (calibrator == "legacy")
    assert not list(tmp_path.glob("*count.json"))


def test_a_calibrator_that_stops_early_leaves_no_engine_and_no_cache(polyyolo, little_yolo, little_pictures, tmp_path):
    words = ("build", little_yolo, "--calib", little_pictures, "--calibrator", "minmax", "-o", tmp_path / "yolo.plan")

    done = polyyolo(*words, takes='made.get_batch(["images"]); made.get_batch(["images"])')

    assert done.exit_code == 4
    assert "the calibrator took 1 of 24 batches" in done.stderr
    assert not (tmp_path / "yolo.plan").exists()
    assert not (tmp_path / "yolo.plan.cache").exists()


def test_a_calibrator_that_never_asks_is_an_error_too(polyyolo, little_yolo, little_pictures, tmp_path):
    words = ("build", little_yolo, "--calib", little_pictures, "--calibrator", "minmax", "-o", tmp_path / "yolo.plan")

    done = polyyolo(*words, takes="pass")

    assert done.exit_code == 2
    assert "the feed never began" in done.stderr
    assert not (tmp_path / "yolo.plan").exists()


@pytest.mark.parametrize(
    ("tensorrt", "words", "code", "told"),
    [
        ("11.1", (), 3, "TensorRT 11.1 has no INT8 calibrator"),
        ("8.6.1", ("--program", "trtexec"), 3, "trtexec"),
        ("8.6.1", ("--precision", "fp16"), 2, "a way to INT8"),
        ("8.6.1", ("--", "--calib-base-cls"), 2, "would change what polyyolo decides"),
    ],
)
def test_what_cannot_calibrate_is_refused(
    polyyolo, little_yolo, little_pictures, tmp_path, *, tensorrt, words, code, told
):
    asked = ("build", little_yolo, "-o", tmp_path / "e.plan", "--calib", little_pictures, "--calibrator", "entropy2")

    done = polyyolo(*asked, *words, tensorrt=tensorrt)

    assert (done.exit_code, done.stdout) == (code, "")
    assert told in done.stderr


def test_without_pictures_there_is_nothing_to_calibrate_with(polyyolo, little_yolo, tmp_path):
    done = polyyolo("build", little_yolo, "-o", tmp_path / "e.plan", "--calibrator", "entropy2")

    assert done.exit_code == 2
    assert "--calibrator wants pictures" in done.stderr


def test_plan_prints_a_line_that_sets_everything_that_the_loader_reads(polyyolo, little_yolo, little_pictures):
    done = polyyolo(
        "plan", little_yolo, "--tensorrt", "8.6", "--calib", little_pictures, "--calibrator", "minmax", "--json"
    )

    told = json.loads(done.stdout)
    command = told["commands"]["polygraphy"]
    assert "trtexec calibrates on random numbers" in told["refused"]["trtexec"]["message"]
    assert command["argv"][command["argv"].index("--calib-base-cls") + 1] == "IInt8MinMaxCalibrator"
    assert command["env"]["POLYYOLO_IMAGES"] == str(little_pictures.resolve())
    assert {"POLYYOLO_SIZE": "64x64", "POLYYOLO_FIT": "letterbox", "POLYYOLO_BATCH": "1"}.items() <= command[
        "env"
    ].items()
    assert shlex.split(command["shell"])[0] == f"POLYYOLO_IMAGES={little_pictures.resolve()}"


@pytest.mark.gpu
@pytest.mark.parametrize("calibrator", ["entropy2", "minmax"])
def test_tensorrt_itself_calibrates_with_every_picture(little_yolo, little_pictures, tmp_path, calibrator):
    trt = pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    if not hasattr(trt, "IInt8EntropyCalibrator2"):
        pytest.skip(f"TensorRT {trt.__version__} has no calibrator")
    if first_gpu().missing:
        pytest.skip(first_gpu().missing)
    words = ["build", little_yolo, "--calib", little_pictures, "--calibrator", calibrator, "-o", tmp_path / "e.plan"]
    quick = ["--", "--builder-optimization-level", "0"]

    done = CliRunner().invoke(main, [str(word) for word in (*words, *quick)])

    assert done.exit_code == 0, done.output
    assert cache_manifest.read(tmp_path / "e.plan.cache").batches == 24
    assert len((tmp_path / "e.plan.cache").read_text().splitlines()) > 20
