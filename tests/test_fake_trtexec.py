"""The trtexec that tests play with ends and prints as the recorded one did."""

import json
import os
import signal
import subprocess

import pytest


@pytest.fixture
def ran():
    def run(program, *words, **environment):
        return subprocess.run(
            [program, *words], capture_output=True, text=True, check=False, env={**os.environ, **environment}
        )

    return run


@pytest.mark.parametrize(
    ("version", "banner"),
    [
        ("8.5.3", "&&&& RUNNING TensorRT.trtexec [TensorRT v8503] # trtexec --help"),
        ("8.6.0", "&&&& RUNNING TensorRT.trtexec [TensorRT v8600] # trtexec --help"),
        ("10.16", "&&&& RUNNING TensorRT.trtexec [TensorRT v101600] [b72] # trtexec --help"),
        ("11.1", "&&&& RUNNING TensorRT.trtexec [TensorRT v110100] [b72] # trtexec --help"),
    ],
)
def test_each_release_has_its_banner(fake_trtexec, ran, version, banner):
    ended = ran(fake_trtexec(version), "--help")

    assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, banner)


def test_an_option_of_a_newer_release_ends_as_the_real_one_did(fake_trtexec, ran, shared):
    real = shared / "fixtures" / "trtexec-8.6.0"

    ended = ran(fake_trtexec("8.6.0"), "--onnx=m.onnx", "--stronglyTyped")

    assert ended.returncode == int((real / "unknown_flag.rc").read_text())
    assert ended.stderr.split("] ", 1)[1] == (real / "unknown_flag.stderr").read_text().split("] ", 1)[1]


@pytest.mark.parametrize(
    ("version", "option", "taken"),
    [
        ("8.5.3", "--skipInference", False),
        ("8.5.3", "--buildOnly", True),
        ("9.3", "--buildOnly", True),
        ("10.0", "--buildOnly", False),
        ("10.16", "--fp16", True),
        ("11.1", "--fp16", False),
        ("11.1", "--noCudaGraph", True),
        ("rtx-1.7", "--noCudaGraph", False),
        ("rtx-1.7", "--rtxCudaGraphStrategy=disable", True),
    ],
)
def test_each_release_takes_its_own_options(fake_trtexec, ran, version, option, taken):
    ended = ran(fake_trtexec(version), "--onnx=none.onnx", option)

    assert ended.returncode == 1
    assert ("Unknown option" in ended.stderr) is not taken


@pytest.mark.parametrize(
    ("version", "magic"), [("8.5.3", b"ptrt"), ("8.6.0", b"ftrt"), ("11.1", b"ftrt"), ("rtx-1.7", b"vtrt")]
)
def test_it_builds_loads_and_measures(fake_trtexec, ran, little_dynamic, tmp_path, *, version, magic):
    program, plan, times = fake_trtexec(version), tmp_path / "m.plan", tmp_path / "times.json"
    bounds = [f"--{bound}Shapes=images:{n}x3x64x64" for bound, n in (("min", 1), ("opt", 4), ("max", 8))]

    built = ran(program, f"--onnx={little_dynamic}", f"--saveEngine={plan}", *bounds)
    loaded = ran(program, f"--loadEngine={plan}", "--shapes=images:4x3x64x64", f"--exportTimes={times}")

    assert (built.returncode, loaded.returncode) == (0, 0), built.stderr + loaded.stderr
    assert plan.read_bytes()[:4] == magic
    assert len(json.loads(times.read_text())) == 210
    assert "GPU Compute Time: min = " in loaded.stdout


def test_it_gives_what_onnx_runtime_gives(fake_trtexec, ran, little_yolo, tmp_path):
    program, plan, out = fake_trtexec("10.16"), tmp_path / "m.plan", tmp_path / "out.json"
    ran(program, f"--onnx={little_yolo}", f"--saveEngine={plan}", "--skipInference")
    (tmp_path / "images.bin").write_bytes(bytes(4 * 3 * 64 * 64))

    ended = ran(program, f"--loadEngine={plan}", f"--loadInputs=images:{tmp_path}/images.bin", f"--exportOutput={out}")

    assert ended.returncode == 0, ended.stderr
    [output] = json.loads(out.read_text())
    assert (output["name"], output["dimensions"], len(output["values"])) == ("output0", "1x6x84", 504)


@pytest.mark.parametrize(
    ("fail", "status", "said"),
    [
        ("no-gpu", -signal.SIGABRT, "no CUDA-capable device"),
        ("killed", -signal.SIGKILL, "RUNNING"),
        ("segfault", -signal.SIGSEGV, "&&&& PASSED"),
        ("no-engine", 0, "&&&& PASSED"),
        ("disk-full", 1, "Saving engine to file failed."),
        ("out-of-memory", 1, "OutOfMemory"),
        ("silent", 1, "RUNNING"),
    ],
)
def test_it_fails_as_it_is_told(fake_trtexec, ran, little_yolo, tmp_path, *, fail, status, said):
    ended = ran(fake_trtexec("8.6.0", fail), f"--onnx={little_yolo}", f"--saveEngine={tmp_path}/m.plan")

    assert ended.returncode == status
    assert said in ended.stdout + ended.stderr


def test_a_plan_of_another_release_is_refused(fake_trtexec, ran, little_yolo, tmp_path):
    ran(fake_trtexec("8.6.0"), f"--onnx={little_yolo}", f"--saveEngine={tmp_path}/m.plan", "--skipInference")

    ended = ran(fake_trtexec("10.16"), f"--loadEngine={tmp_path}/m.plan")

    assert ended.returncode == 1
    assert "expecting library version 10.16.0.0 got 8.6.0.0, please rebuild" in ended.stderr
