"""What it takes to make the same run again."""

import hashlib
import json
import platform

from attrs import evolve

from polyyolo import __version__
from polyyolo.records import CalibrationSet, Toolchain, ToolchainKind
from polyyolo.reports import manifest

RTX = Toolchain(ToolchainKind.RTX, tensorrt="1.7.1")


def test_the_manifest_names_versions_model_pictures_and_commands(run):
    told = manifest.of(run, RTX)

    assert told["versions"]["polyyolo"] == __version__
    assert told["versions"]["python"] == platform.python_version()
    assert told["toolchain"]["tensorrt"] == "1.7.1"
    assert told["model"]["history"] == ["simplify", "quantize (mse, 53 of 60 nodes)"]
    assert told["commands"] == [
        {"argv": ["polygraphy", "convert", "my model.onnx"], "env": {"POLYGRAPHY_USE_TENSORRT_RTX": "1"}}
    ]
    assert told["engine"] == {"sha256": "e" * 64, "size_bytes": 9_870_000}
    assert told["seconds"] == {"calibrate": 12.04, "build": 3.0}
    assert json.loads(json.dumps(told))["preprocessing"]["size"] == [640, 640]


def test_opencv_and_onnx_runtime_are_named_by_the_packages_that_they_came_in(run):
    names = manifest.of(run, RTX)["versions"]

    assert [name for name in names if name.startswith("opencv")]
    assert [name for name in names if name.startswith("onnxruntime")]


def test_every_picture_is_named_with_the_hash_of_its_bytes(run):
    pictures = manifest.of(run, RTX)["pictures"]

    (path,) = run.calibration.sources
    assert pictures["used"] == [{"path": str(path), "sha256": hashlib.sha256(b"bytes").hexdigest()}]
    assert pictures["skipped"] == [{"path": "torn.jpg", "reason": "it is cut off"}]
    assert (pictures["seed"], pictures["found"]) == (7, 3)


def test_an_array_is_one_source_and_the_indices_taken_from_it(run, tmp_path):
    (tmp_path / "p.npy").write_bytes(b"array")
    chosen = CalibrationSet(
        (tmp_path / "p.npy",), run.preprocessing, batch=1, seed=0, found=9, sha256="0" * 64, indices=(4, 2)
    )

    pictures = manifest.of(evolve(run, calibration=chosen), RTX)["pictures"]

    assert pictures["indices"] == [4, 2]
    assert len(pictures["used"]) == 1


def test_a_run_that_built_and_calibrated_nothing_says_so(run):
    told = manifest.of(evolve(run, plan=None, engine=None, calibration=None), Toolchain(ToolchainKind.NONE))

    assert (told["pictures"], told["commands"], told["engine"]) == (None, [], None)


def test_a_picture_that_is_there_no_more_has_no_hash(run):
    gone = evolve(run.calibration, sources=(run.calibration.sources[0].with_name("gone.png"),))

    assert manifest.of(evolve(run, calibration=gone), RTX)["pictures"]["used"][0]["sha256"] is None
