"""TensorRT calibrates by itself within a run: Polygraphy's real Calibrator over a stand-in for TensorRT."""

import sys

import pytest
from attrs import evolve

from polyyolo import pipeline
from polyyolo.calibration import cache_file, cache_manifest
from polyyolo.calibration.thresholds import LEVELS
from polyyolo.engines import toolchain
from polyyolo.engines.gpu import first_gpu
from polyyolo.errors import InputError, ToolchainError, ToolFailed
from polyyolo.records import Request, Route, Toolchain, ToolchainKind

PLAYED = """#!PYTHON
import pathlib, sys
from types import SimpleNamespace
import numpy as np
from polygraphy import mod
from polygraphy.backend.trt import calibrator as backend
from polygraphy.common import TensorMetadata

told = dict(zip(sys.argv[1:], sys.argv[2:]))
kinds = ("EntropyCalibrator2", "MinMaxCalibrator", "LegacyCalibrator", "EntropyCalibrator", "Calibrator")
backend.trt = SimpleNamespace(**{f"IInt8{kind}": type(kind, (), {}) for kind in kinds})
backend.trt_util = SimpleNamespace(_get_array_on_gpu=lambda array, name, _: print(name, array.shape))
load_data = mod.import_from_script(told["--data-loader-script"], name="load_data")
base = getattr(backend.trt, told["--calib-base-cls"])
made = backend.Calibrator(load_data(), cache=told["--calibration-cache"], BaseClass=base)
made.set_input_metadata(TensorMetadata().add("images", np.float32, (1, 3, 64, 64)))
made.reset()
TAKES
made.write_calibration_cache(np.frombuffer(pathlib.Path("CACHE").read_bytes(), np.uint8))
header = b"ftrt" + bytes(12) + (64).to_bytes(8, "little") + bytes([8, 6, 1, 0])
pathlib.Path(told["-o"]).write_bytes(header + bytes(36))
"""
EVERY = 'while made.get_batch(["images"]) is not None: pass'


@pytest.fixture
def asked(little_yolo, little_pictures, tmp_path):
    return Request(
        model=str(little_yolo),
        images=little_pictures,
        route=Route.CALIBRATED,
        calibrator="minmax",
        output=tmp_path / "run",
    )


@pytest.fixture(scope="module")
def ours(little_yolo, little_pictures, tmp_path_factory):
    """A cache with the tensors that TensorRT's own would have."""
    folder = tmp_path_factory.mktemp("ours") / "run"
    request = Request(str(little_yolo), little_pictures, route=Route.CALIBRATED, keep_float=("none",))
    pipeline.engine(evolve(request, toolchain="none", output=folder))
    return cache_file.read(folder / "calibration.cache")


@pytest.fixture
def tensorrt(monkeypatch, tmp_path, ours):
    """Let TensorRT 8.6.1 find every tensor between -4 and 4; ``takes`` is what its calibrator asks for."""

    def install(takes=EVERY, amax=4.0):
        theirs = evolve(ours, algorithm="MinMaxCalibration", scales=dict.fromkeys(ours.scales, amax / LEVELS))
        cache_file.write(theirs, tmp_path / "theirs.cache")
        script = tmp_path / "polygraphy"
        script.write_text(
            PLAYED.replace("PYTHON", sys.executable)
            .replace("TAKES", takes)
            .replace("CACHE", str(tmp_path / "theirs.cache"))
        )
        script.chmod(0o755)
        found = Toolchain(ToolchainKind.TENSORRT, tensorrt="8.6.1", polygraphy="0.53.6", polygraphy_path=script)
        monkeypatch.setattr(toolchain, "find", lambda _: found)

    return install


def test_tensorrt_sees_every_picture_that_was_chosen_and_none_that_is_compared_on(asked, tensorrt):
    tensorrt()

    run = pipeline.engine(asked)

    manifest = cache_manifest.read(run.folder / "calibration.cache")
    log = (run.folder / "build.log").read_text()
    assert (manifest.pictures, manifest.promised) == (20, 20)
    assert log.count("images (1, 3, 64, 64)") == 20
    assert manifest.set_sha256 == run.calibration.sha256
    assert manifest.method == run.method == "IInt8MinMaxCalibrator"
    assert run.fidelity.pictures == 4
    assert run.fidelity.held_out
    assert run.built.path == run.engine.plan.model.path == run.folder / "model.onnx"
    assert not list(run.folder.glob("*count*"))


def test_what_it_costs_is_predicted_with_the_scales_that_tensorrt_chose(asked, tensorrt, tmp_path):
    tensorrt(amax=20.0)
    fine = pipeline.engine(asked)
    tensorrt(amax=2000.0)
    coarse = pipeline.engine(evolve(asked, output=tmp_path / "coarse"))

    noise = [run.fidelity.signal_to_noise_db["output0"] for run in (fine, coarse)]
    assert noise[0] > noise[1] + 10
    assert fine.layers[0].precision == "int8"


def test_the_same_again_does_not_calibrate_again_and_another_calibrator_does(asked, tensorrt):
    tensorrt()
    pipeline.engine(asked)

    assert {"build", "quantize", "verify"} <= set(pipeline.engine(asked).reused)
    assert "build" not in pipeline.engine(evolve(asked, calibrator="entropy2")).reused


def test_a_calibrator_that_stops_early_leaves_nothing(asked, tensorrt):
    tensorrt(takes='made.get_batch(["images"]); made.get_batch(["images"])')

    with pytest.raises(ToolFailed, match="the calibrator took 1 of 20 batches"):
        pipeline.engine(asked)

    assert not (asked.output / "model.plan").exists()
    assert not (asked.output / "calibration.cache").exists()


@pytest.mark.parametrize(
    ("found", "changes", "kind", "told"),
    [
        ("11.1", {}, ToolchainError, "TensorRT 11.1 has none"),
        ("rtx", {}, ToolchainError, "TensorRT for RTX 1.7 has none"),
        ("none", {}, ToolchainError, "nothing here builds engines"),
        ("8.6", {"route": Route.QDQ}, InputError, "--calibrator is for --route calibrated"),
        ("8.6", {"calibrator": "best"}, InputError, "there is no calibrator 'best'"),
        ("8.6", {"method": "max", "keep_float": ("stem",)}, InputError, "--method, --keep-float would be lost"),
        ("8.6", {"program": "trtexec"}, InputError, "trtexec calibrates on random numbers"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(asked, monkeypatch, *, found, changes, kind, told):
    toolchains = {
        "rtx": toolchain.named("1.7", kind=ToolchainKind.RTX),
        "none": Toolchain(ToolchainKind.NONE),
    }
    chosen = toolchains.get(found) or toolchain.named(found)
    monkeypatch.setattr(toolchain, "find", lambda _: chosen)

    with pytest.raises(kind, match=told):
        pipeline.engine(evolve(asked, **changes))

    assert not asked.output.exists()


@pytest.mark.gpu
def test_the_real_calibrator_makes_an_engine_that_does_what_was_predicted(asked):
    trt = pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    if not hasattr(trt, "IInt8EntropyCalibrator2"):
        pytest.skip(f"TensorRT {trt.__version__} has no calibrator")
    if first_gpu().missing:
        pytest.skip(first_gpu().missing)

    run = pipeline.engine(evolve(asked, calibrator="entropy2", toolchain="tensorrt"))

    checks = {check.name: check for check in run.verdict.checks}
    assert cache_manifest.read(run.folder / "calibration.cache").batches == 20
    assert "does not run" not in checks["the engine's own accuracy"].got
    assert len(run.benchmarks) == 1
