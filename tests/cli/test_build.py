"""polyyolo build as trtexec's users would type it, against a trtexec that is played."""

import json
import shlex
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from polyyolo.calibration import cache_file
from polyyolo.cli import main

DETAIL = "--profilingVerbosity=detailed"


@pytest.fixture
def polyyolo(fake_trtexec, tmp_path, monkeypatch):
    """Run polyyolo where trtexec of some release and an H200 are."""

    def run(release, *words):
        smi = tmp_path / "bin" / "nvidia-smi"
        smi.parent.mkdir(exist_ok=True)
        smi.write_text('#!/bin/sh\necho "NVIDIA H200, 9.0"\n')
        smi.chmod(0o755)
        monkeypatch.setenv("PATH", str(smi.parent), prepend=":")
        monkeypatch.setenv("TRTEXEC", str(fake_trtexec(release)))
        return CliRunner().invoke(main, [str(word) for word in words])

    return run


def told(engine):
    """The options that trtexec was given, of the log."""
    line = engine.with_name(f"{engine.name}.log").read_text().splitlines()[0]
    return [word for word in line.split()[2:] if not word.startswith(("--onnx", "--saveEngine"))]


def test_calib_takes_a_folder_of_pictures(polyyolo, little_yolo, little_pictures, tmp_path):
    engine = tmp_path / "yolo.plan"

    done = polyyolo("8.6.0", "build", little_yolo, "--calib", little_pictures, "-o", engine)

    assert done.exit_code == 0, done.output
    float_layers = ["--precisionConstraints=obey", "--layerPrecisions=node_of_stem_conv:fp16"]
    assert told(engine) == ["--int8", "--fp16", f"--calib={engine}.cache", *float_layers, DETAIL, "--skipInference"]
    assert cache_file.read(tmp_path / "yolo.plan.cache").version == 8600
    assert engine.read_bytes()[:4] == b"ftrt"


def test_calib_takes_an_npy_and_writes_the_cache_for_the_release_that_is_here(polyyolo, little_yolo, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((4, 3, 64, 64), np.float32))

    done = polyyolo(
        "10.16", "build", little_yolo, "--calib", tmp_path / "x.npy", "-o", tmp_path / "yolo.plan", "--json"
    )

    assert done.exit_code == 0, done.output
    assert cache_file.read(tmp_path / "yolo.plan.cache").release == (10, 16)
    assert f"--calib={tmp_path / 'yolo.plan.cache'}" in json.loads(done.stdout)["argv"]


def test_tensorrt_11_refuses_calib_with_what_to_do_before_it_calibrates(
    polyyolo, little_yolo, little_pictures, tmp_path
):
    done = polyyolo("11.1", "build", little_yolo, "--calib", little_pictures, "-o", tmp_path / "yolo.plan")

    assert done.exit_code == 3
    assert "TensorRT 11.1.0 has no INT8 calibrator" in done.stderr
    assert (
        f"fix: use --route qdq: polyyolo engine {little_yolo} --images DIR puts the scales into the ONNX" in done.stderr
    )
    assert not (tmp_path / "yolo.plan.cache").exists()


def test_an_old_command_line_of_trtexec_builds_the_same(polyyolo, little_dynamic, tmp_path):
    engine = tmp_path / "yolo.plan"
    shapes = [f"--{bound}Shapes=images:{batch}x3x64x64" for bound, batch in (("min", 1), ("opt", 4), ("max", 8))]
    idle = ("--explicitBatch", "--buildOnly")

    done = polyyolo("8.6.0", "build", f"--onnx={little_dynamic}", f"--saveEngine={engine}", "--fp16", *shapes,
                    "--workspace=512", *idle, "--", "--noTF32")  # fmt: skip

    assert done.exit_code == 0, done.output
    assert told(engine) == ["--fp16", *shapes, "--memPoolSize=workspace:512", DETAIL, "--skipInference", "--noTF32"]
    assert "--explicitBatch: every ONNX has its batch" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told_of"),
    [
        (("--int8",), 2, "holds no Q/DQ nodes, so INT8 would have no scales"),
        (("--fp16", "--", "--int8"), 2, "--int8 would change what polyyolo decides"),
        (("--batch=4",), 2, "takes 1 at a time"),
        (("--calib", "none.cache"), 2, "missing or empty"),
        (("--calib", "photos.npy"), 2, "photos.npy"),
        (("--onnx=other.onnx",), 2, "two models were named"),
        (("--output=output0",), 2, "and output0; -o, --output and --saveEngine are the same here"),
        (("--fp16", "--precision", "int8"), 2, "--fp16 means --precision fp16"),
        (("--fp16", "--", "--nonsense"), 4, "trtexec"),
        (("--batch=1", "--profile", "batch-1-16"), 2, "--profile was given, and --batch"),
    ],
)
def test_what_cannot_be_meant_is_one_error(polyyolo, little_yolo, tmp_path, words, *, code, told_of):
    done = polyyolo("8.6.0", "build", little_yolo, "-o", tmp_path / "yolo.plan", *words)

    assert (done.exit_code, done.stdout) == (code, "")
    assert told_of in done.stderr
    assert not (tmp_path / "yolo.plan").exists()


@pytest.mark.parametrize("verb", ["build", "plan"])
def test_a_timing_cache_in_the_place_of_the_pictures_is_refused(polyyolo, little_yolo, tmp_path, verb):
    pictures = tmp_path / "x.npy"
    np.save(pictures, np.zeros((4, 3, 64, 64), np.float32))
    held = pictures.read_bytes()

    done = polyyolo("8.6.0", verb, little_yolo, "-o", tmp_path / "out", "--calib", pictures, "--timing-cache", pictures)

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{pictures} itself, which would be lost" in done.stderr
    assert pictures.read_bytes() == held


@pytest.mark.parametrize("words", [("yolo.log",), ("yolo.onnx", "--timing-cache", "yolo.log")])
def test_the_log_is_not_written_over_what_is_read(polyyolo, little_yolo, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for name in {words[0], "yolo.log"}:
        shutil.copyfile(little_yolo, name)

    done = polyyolo("8.6.0", "build", *words, "-o", "yolo")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "yolo.log itself, which would be lost" in done.stderr
    assert (tmp_path / "yolo.log").read_bytes() == little_yolo.read_bytes()


def test_no_model_is_one_error(polyyolo, tmp_path):
    assert "no model was named" in polyyolo("8.6.0", "build", "-o", tmp_path / "yolo.plan").stderr


def test_plan_tells_what_makes_the_cache_and_how_it_is_used(polyyolo, little_yolo, little_pictures):
    done = polyyolo("8.6.0", "plan", little_yolo, "--calib", little_pictures, "--tensorrt", "8.6", "--best")

    lines = done.stdout.splitlines()
    assert f"# little.plan.cache is made of {little_pictures} by: polyyolo build" in done.stdout
    assert "--calib=little.plan.cache" in next(line for line in lines if line.startswith("trtexec"))
    assert "--calibration-cache little.plan.cache" in next(line for line in lines if line.startswith("polygraphy"))


def test_plan_prints_what_build_runs_with_pictures_and_the_line_that_runs_it(
    polyyolo, little_dynamic, little_pictures, tmp_path
):
    model, engine = shutil.copy(little_dynamic, tmp_path / "my model.onnx"), tmp_path / "my model.plan"
    asked = ("--calib", little_pictures, "--batch", "2", "--best", "--program", "trtexec")

    planned = polyyolo("8.6.0", "plan", model, *asked, "-o", tmp_path, "--json", "--", "--noTF32")
    told = json.loads(planned.stdout)
    line = shlex.split(told["notes"][-1].partition(" by: ")[2])
    built = polyyolo("8.6.0", *line[1 : line.index("--")], "--json", *line[line.index("--") :])

    assert "--layerPrecisions=node_of_stem_conv:fp16" in told["commands"]["trtexec"]["argv"]
    assert told["commands"]["trtexec"]["argv"] == json.loads(built.stdout)["argv"]
    assert engine.is_file()


def test_plan_wants_to_know_which_program_words_are_for(polyyolo, little_yolo):
    words = ("plan", little_yolo, "--tensorrt", "8.6", "--fp16")

    assert "are for one program" in polyyolo("8.6.0", *words, "--", "--noTF32").stderr
    assert polyyolo("8.6.0", *words, "--program", "trtexec", "--", "--noTF32").stdout.endswith(
        "--skipInference --noTF32\n"
    )
