"""polyyolo engine, as it is typed: exit codes, what is printed, and Ctrl-C."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polyyolo.engines import toolchain
from polyyolo.files import locked
from polyyolo.records import Toolchain, ToolchainKind

STEPS = ("prepare", "calibrate", "sensitivity", "quantize", "cast to FP16", "verify")
HAS_RTX = importlib.util.find_spec("tensorrt_rtx") is not None


@pytest.fixture
def usual(little_yolo, little_pictures, tmp_path):
    """The command that most of these tests begin with; nothing is built."""
    return ("engine", little_yolo, "--images", little_pictures, "--toolchain", "none", "-o", tmp_path / "run")


@pytest.fixture
def failing(monkeypatch, tmp_path):
    """A Polygraphy that fails."""
    script = tmp_path / "polygraphy"
    script.write_text(f"#!{sys.executable}\nprint('[E] no tactic found')\nraise SystemExit(7)\n")
    script.chmod(0o755)
    found = Toolchain(ToolchainKind.RTX, tensorrt="1.7", polygraphy="0.53", polygraphy_path=script)
    monkeypatch.setattr(toolchain, "find", lambda _: found)


def test_a_run_ends_with_the_verdict_its_checks_and_where_the_results_are(polyyolo, usual, tmp_path):
    code, out, _ = polyyolo(*usual)
    lines = out.splitlines()

    assert code == 0
    assert lines[0] == "UNPROVEN  little.onnx as int8"
    assert any("box agreement with FP32" in line for line in lines)
    assert lines[-2] == f"prepared ONNX: {tmp_path / 'run' / 'model.fp16.onnx'}"
    assert lines[-1] == f"report: {tmp_path / 'run' / 'report.html'}"


def test_progress_and_warnings_go_to_standard_error(polyyolo, usual):
    _, out, err = polyyolo(*usual)

    assert "calibrate" in err
    assert "verify" in err
    assert "warning: only 20 pictures to calibrate with" in err
    assert "warning:" not in out


def test_quiet_says_nothing_on_standard_error(polyyolo, usual):
    code, out, err = polyyolo(*usual, "--quiet")

    assert code == 0
    assert err == ""
    assert out.startswith("UNPROVEN")


def test_json_is_for_scripts(polyyolo, usual, little_labelled, tmp_path):
    code, out, err = polyyolo(*usual, "--json", "--labelled", little_labelled)
    told = json.loads(out)

    assert code == 0
    assert err == ""
    assert told["outcome"] == "UNPROVEN"
    assert told["engine"] is None
    assert told["onnx"] == str(tmp_path / "run" / "model.fp16.onnx")
    assert told["folder"] == str(tmp_path / "run")
    assert 0.8 < told["agreement"]["0.9"] <= 1
    assert {check["name"] for check in told["checks"]} >= {"engine built", "speed"}
    assert any("only 24 pictures" in warning["message"] for warning in told["warnings"])
    assert told["reused"] == []


def test_a_second_run_says_that_it_reused_everything(polyyolo, usual):
    polyyolo(*usual)

    _, _, err = polyyolo(*usual)
    _, out, _ = polyyolo(*usual, "--json")

    for step in STEPS:
        assert f"{step}: reused from" in " ".join(err.split())
    assert json.loads(out)["reused"] == list(STEPS)


def test_a_failed_check_exits_1(polyyolo, usual):
    code, out, _ = polyyolo(*usual, "--min-agreement", "1", "--precision", "int8", "--method", "percentile-60")

    assert code == 1
    assert out.startswith("FAIL")


def test_a_proof_that_is_asked_for_and_not_given_exits_5(polyyolo, usual):
    code, out, _ = polyyolo(*usual, "--prove")

    assert code == 5
    assert out.startswith("UNPROVEN")


def test_a_failed_check_exits_1_even_where_a_proof_is_asked_for(polyyolo, usual):
    assert polyyolo(*usual, "--prove", "--min-agreement", "1", "--method", "percentile-60")[0] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "average"), "no calibration method 'average'"),
        (("--images", "nowhere"), "nowhere"),
        (("--profile", "nowhere.toml"), "nowhere.toml"),
        (("--labelled", "nowhere"), "nowhere"),
        (("--head", "darknet-raw"), "do not fit the head darknet-raw"),
        (("--head", "v5"), "take another of: v8, v5-raw, "),
        (("--baseline", __file__), f"cannot read {__file__}: it is no JSON\n"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_the_user_got_wrong_exits_2_with_a_fix_and_no_traceback(polyyolo, usual, tmp_path, words, told):
    code, out, err = polyyolo(*usual, "--quiet", *words)

    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert told in err
    assert "\n  fix: " in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("none.onnx", None), ("text.onnx", b"not a model"), ("empty.onnx", b""), ("folder.onnx", "folder")],
)
def test_a_file_that_is_no_model_exits_2(polyyolo, tmp_path, name, content):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)

    code, _, err = polyyolo("engine", path, "--quiet", "--toolchain", "none")

    assert code == 2
    assert name in err
    assert "fix: " in err


def test_a_truncated_model_exits_2(polyyolo, usual, little_yolo, tmp_path):
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(little_yolo.read_bytes()[:50_000])

    code, _, err = polyyolo("engine", torn, *usual[2:], "--quiet")

    assert code == 2
    assert "torn.onnx (50,000 bytes) is not an ONNX, or was cut off" in err


@pytest.mark.parametrize(
    "words", [("--count", "0"), ("--budget", "2"), ("--precision", "int4"), ("--pad", "300"), ("--max-drop", "-5")]
)
def test_an_option_out_of_range_exits_2(polyyolo, usual, words):
    code, _, err = polyyolo(*usual, *words)

    assert code == 2
    assert words[0] in err


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU here")
def test_a_toolchain_that_is_not_here_exits_3(polyyolo, usual, monkeypatch):
    monkeypatch.setenv("TRTEXEC", "/nowhere/trtexec")

    code, _, err = polyyolo(*usual, "--quiet", "--toolchain", "tensorrt")

    assert code == 3
    assert "fix: " in err


@pytest.mark.usefixtures("failing")
def test_a_builder_that_fails_exits_4_with_its_command_last_words_and_log(polyyolo, usual, tmp_path):
    code, _, err = polyyolo(*usual, "--quiet")

    assert code == 4
    assert f"ran: {tmp_path / 'polygraphy'} convert" in err
    assert "said: [E] no tactic found" in err
    assert "log: " in err


@pytest.mark.skipif(not HAS_RTX, reason="tensorrt-rtx is not installed")
def test_a_real_engine_is_built_without_a_gpu(polyyolo, usual, little_labelled, tmp_path):
    code, out, _ = polyyolo(*usual, "--quiet", "--toolchain", "rtx", "--labelled", little_labelled)

    assert code == 0
    assert (tmp_path / "run" / "model.plan").read_bytes()[:4] == b"vtrt"
    assert f"engine: {tmp_path / 'run' / 'model.plan'}" in out


def test_a_run_that_is_held_by_another_exits_2(polyyolo, usual, tmp_path):
    with locked(tmp_path / "run"):
        code, _, err = polyyolo(*usual, "--quiet")

    assert code == 2
    assert "another run is writing to" in err


SLOW_CALIBRATION = """
import time
from polyyolo.calibration import table
real = table.batches
def slow(chosen):
    for batch in real(chosen):
        yield batch
        print("in the middle", flush=True)
        for _ in range(300):  # Python hears of a signal that comes right before a sleep only after it
            time.sleep(0.1)
table.batches = slow
"""

SLOW_BUILD = """
import pathlib
from polyyolo.engines import toolchain
from polyyolo.records import Toolchain, ToolchainKind
found = Toolchain(ToolchainKind.RTX, tensorrt="1.7", polygraphy="0.53", polygraphy_path=pathlib.Path({script!r}))
toolchain.find = lambda _: found
"""


def interrupted(code, words, watched):
    """Run a command line after ``code``, send Ctrl-C once ``watched`` says that it is in the middle."""
    argv = [sys.executable, "-c", f"{code}\nfrom polyyolo.cli import main\nmain({list(map(str, words))!r})"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        watched(running)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    return running.returncode, said


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_ctrl_c_in_the_calibration_leaves_no_half_file_and_exits_130(polyyolo, usual, tmp_path):
    polyyolo(*usual, "--quiet")
    before = files_of(tmp_path / "run")

    code, said = interrupted(SLOW_CALIBRATION, [*usual, "--seed", "3"], lambda running: running.stdout.readline())

    after = files_of(tmp_path / "run")
    begun = {name for name in after if name.startswith(".partial/")}
    assert code == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert {name: data for name, data in after.items() if name not in begun} == before
    assert begun == {".partial/model.onnx", ".partial/steps.json"}, "what was finished, for the next run to reuse"
    assert polyyolo(*usual, "--seed", "3", "--quiet")[0] == 0
    assert not (tmp_path / "run" / ".partial").exists()


def test_ctrl_c_in_the_build_ends_the_builder_too(polyyolo, usual, tmp_path):
    started = tmp_path / "started"
    script = tmp_path / "polygraphy"
    script.write_text(
        f"#!{sys.executable}\nimport os, pathlib, sys, time\n"
        "pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).write_bytes(b'half an engine')\n"
        f"pathlib.Path({str(started)!r}).write_text(str(os.getpid()))\ntime.sleep(60)\n"
    )
    script.chmod(0o755)

    def wait(running):
        for _ in range(600):
            if started.exists() and started.read_text():
                return
            assert running.poll() is None
            time.sleep(0.05)

    code, said = interrupted(SLOW_BUILD.format(script=str(script)), usual, wait)

    assert code == 130
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert b"half an engine" not in files_of(tmp_path / "run").values()
    assert polyyolo(*usual, "--quiet")[0] == 0


HEAVY = ("cv2", "numpy", "onnx", "onnx_graphsurgeon", "onnxruntime", "onnxslim", "polygraphy", "rich", "tensorrt_rtx")


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("engine", "--help")], ids=" ".join)
def test_help_answers_in_a_blink_because_nothing_heavy_is_imported(words):
    code = (
        f"import sys\nfrom polyyolo.cli import main\ntry:\n    main({list(words)!r})\n"
        f"except SystemExit:\n    print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RTX, reason="tensorrt-rtx is not installed")
def test_a_real_model_becomes_an_engine_that_finds_what_fp32_finds(polyyolo, models, train, val, tmp_path):
    labelled = tmp_path / "held"
    for kind in ("images", "labels"):
        (labelled / kind).mkdir(parents=True)
        for path in sorted((val / kind).iterdir())[:16]:
            (labelled / kind / path.name).symlink_to(path)

    code, out, _ = polyyolo(
        *("engine", models / "yolov4-tiny-416.onnx", "--images", train / "images", "--count", "16"),
        *("--labelled", labelled, "--toolchain", "rtx", "--json", "-o", tmp_path / "run"),
    )
    told = json.loads(out)

    assert code == 0
    assert (tmp_path / "run" / "model.plan").read_bytes()[:4] == b"vtrt"
    assert told["agreement"]["0.5"] > 0.95
    assert told["agreement"]["0.9"] > 0.85
    assert told["drop_points"] < 2
