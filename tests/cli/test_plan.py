import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from polyyolo.cli import main


@pytest.fixture
def polyyolo():
    def run(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    return run


def test_the_commands_for_a_named_release_can_be_pasted_into_a_shell(polyyolo, models):
    model = models / "yolov5s-dyn.onnx"

    done = polyyolo("plan", model, "--profile", "batch-1-16", "--tensorrt", "8.6", "--precision", "fp16", "-o", "out")

    lines = [shlex.split(line) for line in done.stdout.splitlines() if not line.startswith("#")]
    assert done.exit_code == 0
    assert lines == [
        [
            *("trtexec", f"--onnx={model}", "--saveEngine=out/yolov5s-dyn.plan", "--fp16"),
            *("--minShapes=images:1x3x640x640", "--optShapes=images:8x3x640x640", "--maxShapes=images:16x3x640x640"),
            *("--profilingVerbosity=detailed", "--skipInference"),
        ],
        [
            *("polygraphy", "convert", str(model), "--convert-to", "trt", "-o", "out/yolov5s-dyn.plan", "--fp16"),
            *("--trt-min-shapes", "images:[1,3,640,640]", "--trt-opt-shapes", "images:[8,3,640,640]"),
            *("--trt-max-shapes", "images:[16,3,640,640]", "--profiling-verbosity", "detailed"),
        ],
    ]


def test_one_program_may_be_refused_while_the_other_is_planned(polyyolo, models, tmp_path):
    profile = tmp_path / "two.toml"
    shapes = "min = [1, 3, 640, 640]\nopt = [1, 3, 640, 640]\nmax = [1, 3, 640, 640]\n"
    profile.write_text(2 * f'[[profile]]\n[profile."*"]\n{shapes}')

    done = polyyolo("plan", models / "yolov8n-dyn.onnx", "--tensorrt", "8.6", "--profile", profile, "--json")

    told = json.loads(done.stdout)
    assert list(told["commands"]) == ["polygraphy"]
    assert "trtexec 8.6 takes one" in told["refused"]["trtexec"]["message"]


def test_a_line_break_in_a_name_runs_nothing_when_a_plan_is_pasted(polyyolo, little_yolo, tmp_path):
    model = tmp_path / "x\ntouch pasted\n:.onnx"
    model.write_bytes(little_yolo.read_bytes())
    done = polyyolo("plan", model, "--tensorrt", "8.6")

    subprocess.run(["/bin/sh"], input=done.stdout, cwd=tmp_path, text=True, capture_output=True, check=False)

    assert "not with polygraphy: Polygraphy cuts a path at its colon" in done.stdout
    assert list(tmp_path.iterdir()) == [model]


def test_json_holds_the_whole_command(polyyolo, models):
    done = polyyolo("plan", models / "yolov8n-640.onnx", "--toolchain", "rtx", "--tensorrt", "1.7", "--json")

    command = json.loads(done.stdout)["commands"]["polygraphy"]
    assert command["env"] == {"POLYGRAPHY_USE_TENSORRT_RTX": "1"}
    assert command["shell"] == shlex.join(["POLYGRAPHY_USE_TENSORRT_RTX=1", *command["argv"]])
    assert command["engine"] == "yolov8n-640.plan"


def test_what_was_assumed_is_said(polyyolo, models):
    done = polyyolo("plan", models / "yolov8n-dyn.onnx", "--tensorrt", "11.4")

    assert done.stdout.startswith("# no profile was given: images will take 1x3x640x640 and nothing else\n")


def test_a_cache_without_its_manifest_is_doubted(polyyolo, shared, models):
    cache = shared / "fixtures/trtexec-8.6.0/yolov5s.entropy2.cache"

    done = polyyolo("plan", models / "yolov5s-640.onnx", "--cache", cache, "--tensorrt", "8.6")

    doubts = [line for line in done.stdout.splitlines() if line.startswith(f"# {cache}: ")]
    assert done.exit_code == 0, done.output
    assert any("all that has a scale may run in INT8, the head too" in doubt for doubt in doubts)


def test_a_cache_that_is_not_here_is_told(polyyolo, models):
    done = polyyolo("plan", models / "yolov5s-640.onnx", "--cache", "gone.cache", "--tensorrt", "8.6")

    assert done.exit_code == 0, done.output
    assert "# gone.cache is not here: which layers it keeps in float, and whether it fits, is not known" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--tensorrt", "11.4", "--cache", "x.cache"), 3, "TensorRT 11.4 has no INT8 calibrator"),
        (("--tensorrt", "8.6", "--precision", "int8"), 2, "holds no Q/DQ nodes"),
        (("--tensorrt", "8.4"), 3, "older than 8.5"),
        (("--tensorrt", "eleven"), 2, "no version of TensorRT"),
        (("--tensorrt", "8.6", "--profile", "batch-1-16"), 2, "axis 0 (batch) is fixed at 1"),
        (("--tensorrt", "8.6", "--profile", "tiny"), 2, "no profile 'tiny'"),
        (("--toolchain", "none"), 2, "--toolchain none builds no engine"),
        (("--toolchain", "rtx", "--tensorrt", "1.7", "--compute-capability", "9.0"), 3, "compute capability 9.0"),
        (("--precision", "int4"), 2, "int4"),
    ],
)
def test_what_cannot_be_built_exits_with_its_code_and_one_error(polyyolo, models, words, status, told):
    done = polyyolo("plan", models / "yolov5s-640.onnx", *words)

    assert (done.exit_code, done.stdout) == (status, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_build_runs_what_plan_prints(polyyolo, models, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    engine = tmp_path / "yolov8n-640.plan"
    words = (models / "yolov8n-640.onnx", "--toolchain", "rtx", "--json")

    planned = json.loads(polyyolo("plan", *words, "-o", tmp_path).stdout)["commands"]["polygraphy"]
    built = json.loads(polyyolo("build", *words, "-o", engine).stdout)

    assert built["argv"] == planned["argv"]
    assert (built["path"], built["size_bytes"]) == (str(engine), engine.stat().st_size)
    assert Path(built["log"]).read_text().startswith("$ POLYGRAPHY_USE_TENSORRT_RTX=1 ")


def test_the_printed_line_itself_builds(polyyolo, models, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    done = polyyolo("plan", models / "yolov8n-dyn.onnx", "--toolchain", "rtx", "-o", tmp_path)

    subprocess.run(["sh", "-c", done.stdout], check=True, capture_output=True)

    assert (tmp_path / "yolov8n-dyn.plan").read_bytes()[:4] == b"vtrt"


def test_ctrl_c_during_a_build_leaves_no_file_and_exits_130(models, tmp_path):
    """The builder is a program that never ends; the terminal's Ctrl-C is a signal to polyyolo."""
    fake = tmp_path / "bin" / "trtexec"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\ncase "$*" in *--help*) echo "[TensorRT v8601]"; exit;; esac\necho began\nexec /bin/sleep 60\n'
    )
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.write_text('#!/bin/sh\necho "NVIDIA RTX A2000, 8.6"\n')
    for script in (fake, smi):
        script.chmod(0o755)
    out = tmp_path / "out"
    argv = [sys.executable, "-c", "from polyyolo.cli import main; main()"]
    argv += ["build", str(models / "yolov8n-640.onnx"), "-o", str(out / "yolo.plan"), "--quiet"]
    with subprocess.Popen(
        argv, env={"PATH": str(fake.parent)}, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as child:
        log = out / "yolo.plan.log"
        for _ in range(500):
            if log.exists() and "began" in log.read_text():
                break
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)

    assert (child.returncode, said.strip()) == (130, "interrupted: nothing half-written was left")
    assert [path.name for path in out.iterdir()] == ["yolo.plan.log"]
