"""A builder may fail in many ways; none of them may look like an engine."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import evolve

from polyyolo import progress
from polyyolo.engines.build import build
from polyyolo.engines.plan import BuildOptions, Program, make_plan
from polyyolo.engines.profiles import default
from polyyolo.engines.running import Ended
from polyyolo.engines.toolchain import named
from polyyolo.errors import InputError, ModelError, ToolchainError, ToolFailed
from polyyolo.records import Route, ToolchainKind

GOOD = {"rtx": "engine.write_bytes(plan(b'vtrt'))", "trtexec": "engine.write_bytes(plan(b'ftrt'))"}


@pytest.fixture
def planned(yolo, tmp_path, program):
    """Plan a build of a model that is there, with a pretended builder; ``body`` is what that does."""

    def plan(body, kind="rtx", engine="out/yolo.plan", **options):
        model = tmp_path / "yolo.onnx"
        model.write_bytes(b"onnx")
        if kind == "rtx":
            toolchain = evolve(named("1.7", kind=ToolchainKind.RTX), polygraphy_path=program(body))
        else:
            toolchain = evolve(named("8.6"), trtexec=program(body, "trtexec"))
            options = {"program": Program.TRTEXEC, **options}
        spec = yolo(path=str(model), quantized=options.get("route") is not Route.CALIBRATED)
        return make_plan(spec, default(spec), toolchain, tmp_path / engine, BuildOptions(**options))

    return plan


@pytest.fixture
def log(tmp_path):
    return tmp_path / "out" / "build.log"


def left(plan):
    """Files in the engine's folder, temporary ones too, without the log."""
    return sorted(path.name for path in plan.engine.parent.iterdir() if path.suffix != ".log")


@pytest.mark.parametrize("kind", ["rtx", "trtexec"])
def test_an_engine_comes_with_its_hash_size_and_time(planned, log, kind):
    plan = planned(GOOD[kind] + "\ntime.sleep(0.1)", kind)

    engine = build(plan, log)

    assert (engine.path, engine.size_bytes, engine.plan) == (plan.engine, 64, plan)
    assert len(engine.sha256) == 64
    assert 0.1 <= engine.build_seconds < 10
    assert left(plan) == ["yolo.plan"]


def test_all_that_the_builder_prints_is_in_the_log_below_its_command(planned, log):
    build(planned("print('to out', flush=True); print('to err', file=sys.stderr)\n" + GOOD["rtx"]), log)

    command, *said = log.read_text().splitlines()
    assert command.startswith("$ POLYGRAPHY_USE_TENSORRT_RTX=1 ")
    assert said == ["to out", "to err"]


def test_a_path_that_is_no_utf_8_is_spelt_out_in_the_log(planned, log):
    build(planned(GOOD["trtexec"], "trtexec", engine="out/caf\udce9.plan"), log)

    assert "/out/.caf\\udce9-" in log.read_text()


def test_the_builder_gets_the_environment_of_the_plan_and_not_a_left_over_switch(planned, log, monkeypatch):
    monkeypatch.setenv("POLYGRAPHY_USE_TENSORRT_RTX", "1")
    body = "print(os.environ.get('POLYGRAPHY_USE_TENSORRT_RTX'))\n"

    build(planned(body + GOOD["trtexec"], "trtexec"), log)

    assert log.read_text().splitlines()[1] == "None"


@pytest.mark.parametrize("name", ["convert", "trt", "-yolo.plan"])
def test_an_engine_may_have_the_name_of_one_of_polygraphys_words(planned, log, monkeypatch, tmp_path, name):
    plan = planned(f"print(*argv)\n{GOOD['rtx']}")
    monkeypatch.chdir(tmp_path)
    named_so = make_plan(plan.model, plan.profile, plan.toolchain, Path(name))

    build(named_so, log)

    words = log.read_text().splitlines()[1].split()
    assert words[:5] == ["convert", str(plan.model.path), "--convert-to", "trt", "-o"]
    assert Path(name).stat().st_size == 64


def test_a_builder_that_fails_is_told_with_command_status_last_words_and_log(planned, log):
    plan = planned("print('\\n'.join(map(str, range(50)))); print('[!] it went wrong'); sys.exit(3)")

    with pytest.raises(ToolFailed) as error:
        build(plan, log)

    failed = error.value
    assert failed.message == "polygraphy ended with status 3"
    assert (failed.argv, failed.status, failed.log_path) == (plan.command.argv, 3, log)
    assert failed.tail.splitlines()[-2:] == ["49", "[!] it went wrong"]
    assert left(plan) == []


def test_a_failed_build_leaves_an_earlier_engine_as_it_was(planned, log):
    plan = planned("engine.write_bytes(b'half'); sys.exit(1)")
    plan.engine.parent.mkdir()
    plan.engine.write_bytes(b"earlier")

    with pytest.raises(ToolFailed):
        build(plan, log)

    assert plan.engine.read_bytes() == b"earlier"
    assert left(plan) == ["yolo.plan"]


def test_a_killed_builder_is_told_by_the_signal(planned, log):
    plan = planned("engine.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)")

    with pytest.raises(ToolFailed, match="was killed by SIGKILL, as the system does when memory runs out") as error:
        build(plan, log)

    assert error.value.status == -9
    assert left(plan) == []


def test_passed_with_a_bad_status_is_no_success(planned, log):
    """The recorded trtexec printed PASSED and then crashed with status 139."""
    plan = planned(GOOD["trtexec"] + "\nprint('&&&& PASSED TensorRT.trtexec'); sys.exit(139)", "trtexec")

    with pytest.raises(ToolFailed, match="trtexec was killed by SIGSEGV although it said PASSED"):
        build(plan, log)

    assert left(plan) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("engine.unlink()", "is missing or empty"),
        ("engine.write_bytes(b'')", "is missing or empty"),
        ("engine.write_bytes(b'vtrt')", "has 4 bytes, too few"),
        ("engine.write_bytes(plan(b'ftrt'))", "begins with b'ftrt', an engine with b'vtrt'"),
        ("engine.write_bytes(plan(b'vtrt')[:50])", "has 50 bytes of the 64 that its header promises"),
    ],
)
def test_success_without_a_whole_engine_is_a_failure(planned, log, body, fault):
    plan = planned(f"{body}\nprint('&&&& PASSED')")

    with pytest.raises(ToolFailed) as error:
        build(plan, log)

    assert error.value.message.startswith("polygraphy says that it succeeded, but the engine ")
    assert fault in error.value.message
    assert left(plan) == []


def test_a_full_disk_is_the_machines_fault(planned, log):
    with pytest.raises(ToolchainError, match="no space is left on the disk"):
        build(planned("raise OSError(28, os.strerror(28))"), log)


def test_a_builder_that_may_not_write_so_large_a_file_has_no_room(planned, log):
    """``ulimit -f`` kills it where no size is left, before it could say anything."""
    plan = planned("signal.signal(signal.SIGXFSZ, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGXFSZ)")

    with pytest.raises(ToolchainError, match="no space is left on the disk"):
        build(plan, log)

    assert left(plan) == []


def test_a_timing_cache_that_tensorrt_refuses_is_told(planned, log, tmp_path):
    class Kept(progress.Silent):
        def __init__(self):
            self.told = []

        def warned(self, message, fix):  # noqa: ARG002 - as listeners have it
            self.told.append(message)

    refused = "print('[W] [TRT] Myelin error from unknown graph. The timing cache will not be used!')"
    plan, kept = planned(f"{refused}\n{GOOD['trtexec']}", "trtexec", timing_cache=tmp_path / "timing"), Kept()

    with progress.listening(kept):
        build(plan, log)

    assert kept.told == [
        f"TensorRT refused the timing cache {tmp_path / 'timing'} or a part: nothing was lost but time (log: {log})"
    ]


def test_the_folder_of_a_timing_cache_is_made_before_the_build(planned, log, tmp_path):
    cache = tmp_path / "new" / "folder" / "timing"
    body = "kept = pathlib.Path(argv[argv.index('--save-timing-cache') + 1])\nkept.write_text('times')\n"

    build(planned(body + GOOD["rtx"], timing_cache=cache), log)

    assert cache.read_text() == "times"


def test_a_timing_cache_that_cannot_be_written_is_told_before_the_build(planned, log, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="is a file, not a folder") as error:
        build(planned(GOOD["rtx"], timing_cache=tmp_path / "file" / "timing"), log)

    assert error.value.fix == "choose a folder with --timing-cache"
    assert not log.exists()


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("[!] Compute capability 9.0 (SM90) not supported by this TensorRT-RTX version.", "name another GPU"),
        ("CUDA initialization failure with error: 35", "--toolchain rtx builds without"),
        ("CUDA initialization failure with error: 2. Please check your CUDA installation", "free memory"),
        ("Cuda failure: out of memory", "free memory"),
        ("[E] Error Code 2: OutOfMemory (Requested size was 1 bytes.)", "lower max in the profile"),
        ("ModuleNotFoundError: No module named 'tensorrt_rtx'", "pip install 'polyyolo[rtx]'"),
        ("ModuleNotFoundError: No module named 'tensorrt'", "pip install 'polyyolo[tensorrt]'"),
        ("[E] Unknown option: --stronglyTyped ", "leave it out of the words behind --, or build with"),
        ("No importer registered for op: NonZeroMax", "polyyolo surgeon simplify"),
        ("PluginFieldCollection missing required fields: {activation, coding}", "lacks activation, coding,"),
        ("[E] Error[3]: SymbolAddress for cublasGetProperty could not be loaded, check", "as cuBLAS or cuDNN"),
        ('[E] Cannot find input tensor with name "input" in the network', "polyyolo inspect model"),
        ("something never seen", "the log holds all that it said"),
    ],
)
def test_known_words_get_their_remedy(planned, log, said, fix):
    with pytest.raises(ToolFailed) as error:
        build(planned(f"print({said!r}); sys.exit(1)"), log)

    assert fix in error.value.fix


def test_a_real_trtexecs_complaint_about_an_option_is_understood(planned, log, shared):
    said = (shared / "fixtures" / "trtexec-8.6.0" / "unknown_flag.stderr").read_text()

    with pytest.raises(ToolFailed) as error:
        build(planned(f"print({said!r}); sys.exit(1)", "trtexec"), log)

    assert "does not know --stronglyTyped" in error.value.fix


def test_a_builder_that_is_gone_is_told(planned, log):
    plan = planned(GOOD["rtx"])
    Path(plan.command.argv[0]).unlink()

    with pytest.raises(ToolchainError, match="cannot be started: No such file"):
        build(plan, log)

    assert left(plan) == []


def test_a_model_that_is_gone_is_told(planned, log):
    plan = planned(GOOD["rtx"])
    plan.model.path.unlink()

    with pytest.raises(ModelError, match="is gone"):
        build(plan, log)


@pytest.mark.parametrize("content", [None, b""])
def test_a_calibration_cache_that_is_missing_or_empty_never_reaches_trtexec(planned, log, tmp_path, content):
    cache = tmp_path / "yolo.cache"
    if content is not None:
        cache.write_bytes(content)

    with pytest.raises(InputError, match="missing or empty"):
        build(planned(GOOD["trtexec"], "trtexec", route=Route.CALIBRATED, calibration_cache=cache), log)


def test_a_folder_is_no_engine(planned, log):
    plan = planned(GOOD["rtx"], engine="out")
    plan.engine.mkdir()

    with pytest.raises(InputError, match="is a folder"):
        build(plan, log)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EROFS, "cannot write below .*: Read-only file system"),
        (errno.EACCES, "cannot write below .*: Permission denied"),
        (errno.ENOSPC, "no space is left to write below"),
    ],
)
def test_a_folder_that_takes_no_file_is_told(planned, log, monkeypatch, number, told):
    plan = planned(GOOD["rtx"])

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    with pytest.raises((InputError, ToolchainError), match=told):
        build(plan, log)


def test_a_file_where_the_folder_should_be_is_told(planned, tmp_path):
    (tmp_path / "out").write_text("")

    with pytest.raises(InputError, match="is a file, not a folder"):
        build(planned(GOOD["rtx"]), tmp_path / "build.log")


def test_the_runner_can_be_another(planned, log):
    def fake(command, log):
        log.write_text("nothing to say")
        target = Path(command.argv[command.argv.index("-o") + 1])
        target.write_bytes(b"vtrt" + bytes(12) + (32).to_bytes(8, "little") + bytes(8))
        return Ended(0, ())

    assert build(planned(""), log, run=fake).size_bytes == 32


@pytest.mark.parametrize("stubborn", ["", "signal.signal(signal.SIGINT, signal.SIG_IGN)"])
def test_ctrl_c_ends_the_builder_and_leaves_nothing(planned, log, stubborn, tmp_path):
    plan = planned(f"{stubborn}\nengine.write_bytes(b'half')\nprint(os.getpid(), flush=True)\ntime.sleep(60)")
    with _building(plan, log, tmp_path, grace_s=0.2) as child:
        builder = _first_number(log)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)

    assert "KeyboardInterrupt" in said
    assert left(plan) == []
    with pytest.raises(ProcessLookupError):
        os.kill(builder, 0)


def test_ctrl_c_ends_what_a_script_around_the_builder_started_too(planned, log, tmp_path):
    """A trtexec on PATH may be a shell script that calls the real one, which no signal to the script reaches."""
    inner = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    plan = planned(f"import subprocess\nsubprocess.Popen([sys.executable, '-c', {inner!r}])\ntime.sleep(60)")
    with _building(plan, log, tmp_path, grace_s=0.2) as child:
        builder = _first_number(log)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)

    _wait_for(lambda: not _runs(builder))
    assert left(plan) == []


def test_a_second_ctrl_c_kills_a_builder_that_ignores_the_first(planned, log, tmp_path):
    asked = tmp_path / "asked"
    plan = planned(
        f"signal.signal(signal.SIGINT, lambda *_: pathlib.Path({str(asked)!r}).touch())\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "engine.write_bytes(b'half')\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    )
    with _building(plan, log, tmp_path, grace_s=60) as child:
        builder = _first_number(log)
        child.send_signal(signal.SIGINT)
        _wait_for(asked.exists)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)

    assert left(plan) == []
    with pytest.raises(ProcessLookupError):
        os.kill(builder, 0)


def test_a_build_does_not_wait_for_what_a_script_around_the_builder_left_running(planned, log, monkeypatch):
    """As a monitor that writes where the builder does: its output has no end while that runs."""
    monkeypatch.setattr("polyyolo.engines.running.GRACE_S", 0.2)
    monitor = "monitor = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    plan = planned(f"import subprocess\n{monitor}\nprint(monitor.pid, flush=True)\n{GOOD['rtx']}")

    began = time.monotonic()
    build(plan, log)

    assert time.monotonic() - began < 30
    _wait_for(lambda: not _runs(_first_number(log)))


def _building(plan, log, folder, grace_s):
    """Build in a process of its own."""
    script = (
        "import pickle, sys, pathlib\nfrom polyyolo.engines import running\nfrom polyyolo.engines.build import build\n"
        f"running.GRACE_S = {grace_s}\n"
        "build(pickle.load(open(sys.argv[1], 'rb')), pathlib.Path(sys.argv[2]))\n"
    )
    pickled = folder / "plan.pickle"
    pickled.write_bytes(pickle.dumps(plan))
    return subprocess.Popen([sys.executable, "-c", script, pickled, log], stderr=subprocess.PIPE, text=True)


def _runs(number):
    """Whether a process does something yet: one that ended stays in the table until its parent asks for it."""
    status = Path(f"/proc/{number}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait_for(ready):
    for _ in range(500):
        if ready():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


def _first_number(log):
    def numbers():
        return [int(line) for line in log.read_text().splitlines() if line.isdigit()] if log.exists() else []

    _wait_for(numbers)
    return numbers()[0]
