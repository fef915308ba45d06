"""polyyolo bench, by the real command line with a trtexec that plays 10.16."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial

import pytest

from polyyolo.files import read_json, sha256_of


@pytest.fixture
def bench(polyyolo, monkeypatch):
    """Run ``polyyolo bench`` with words; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "160")
    return partial(polyyolo, "bench")


@pytest.fixture
def refused(bench):
    """See that ``polyyolo bench`` ends with one error and one fix; gives its exit code and the error."""

    def run(*words):
        left, out, err = bench(*words)
        assert out == ""
        assert [err.count(word) for word in ("error: ", "  fix: ", "Traceback")] == [1, 1, 0]
        return left, err

    return run


@pytest.fixture
def engine(dynamic_plan, monkeypatch):
    """Give an engine of batch 1 to 8, and let its trtexec be the one that is found."""
    program, plan = dynamic_plan("10.16")
    monkeypatch.setenv("TRTEXEC", str(program))
    return plan


def test_a_sweep_is_a_table_a_file_and_a_plot(bench, engine):
    left, out, _ = bench(engine, "--batch", "1,8")

    assert left == 0
    assert "NVIDIA H200, trtexec 10.16.0; times in ms" in out
    rows = [re.findall(r"[\w.,]+", line) for line in out.splitlines() if "x3x64x64" in line]
    assert rows == [
        ["images", "1x3x64x64", "1,557", "0.6423", "0.6439", "0.6471", "0.9056", "0.9104"],
        ["images", "8x3x64x64", "5,189", "1.542", "1.545", "1.553", "3.648", "3.66"],
    ]
    kept = json.loads((engine.parent / "benchmark.json").read_text())
    assert [each["batch"] for each in kept["benchmarks"]] == [1, 8]
    assert "images 8x3x64x64: median 1.542 ms" in (engine.parent / "benchmark.svg").read_text()


def test_json_is_what_the_file_holds(bench, engine, tmp_path):
    from polyyolo.benchmarking.keeping import Kept

    left, out, err = bench(engine, "--json", "-o", tmp_path / "there" / "fast.json")

    assert (left, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "there" / "fast.json").read_text())
    assert read_json(tmp_path / "there" / "fast.json", Kept).benchmarks[0].batch == 4
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [
        "10.16.plan.benchmark.log",
        "fast.json",
        "fast.svg",
    ]


def test_warnings_stand_below_the_table(bench, engine, monkeypatch):
    monkeypatch.setenv("FAKE_TRTEXEC_FAIL", "drift")

    _, out, _ = bench(engine, "--no-graph", "--no-end-to-end")

    assert "warning: GPU compute time drifted from" in out
    assert "warning: not comparable: measured without a CUDA graph" in out


@pytest.fixture
def watched(monkeypatch):
    """A GPU that is held back, and whose clock is 1980 MHz."""

    class Watch:
        def during(self, _):
            return {"sm_clock_mhz": 1980.0}

        def held_back_by(self, _):
            return ("its power limit",)

    monkeypatch.setattr("polyyolo.benchmarking.bench.watching", lambda: nullcontext(Watch()))


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (("--batch", "1,8"), ["batch 1", "batch 8"]),
        (("--shape", "1x3x64x64", "--shape", "1x3x32x96"), ["images:1x3x64x64", "images:1x3x32x96"]),
        (("--shape", "1x3x64x64", "--shape", "1x3x32x96", "--batch", "1"), ["images:1x3x64x64", "images:1x3x32x96"]),
    ],
)
def test_what_the_gpu_did_is_told_of_each_measurement(bench, dynamic_plan, monkeypatch, words, labels):
    """By its batch, and by its shapes where batches are equal; what goes for all is told once, without a name."""
    program, plan = dynamic_plan("10.16", {"images": [[1, 3, 32, 32], [4, 3, 64, 64], [8, 3, 96, 96]]})
    monkeypatch.setenv("TRTEXEC", str(program))

    _, out, _ = bench(plan, "--no-end-to-end", *words)

    assert [line for line in out.splitlines() if "MHz" in line] == [f"{label}: 1980 MHz" for label in labels]
    assert out.count("warning: the GPU was held back by its power limit") == 1


def test_a_warning_that_goes_for_one_measurement_names_it(bench, engine, monkeypatch):
    texts = iter((("it was cold",), ()))
    monkeypatch.setattr("polyyolo.benchmarking.reading.doubts", lambda _: next(texts))

    _, out, _ = bench(engine, "--no-end-to-end", "--batch", "1,8")

    assert "warning: batch 1: it was cold" in out


def test_engines_in_one_folder_keep_their_results_and_their_logs(bench, dynamic_plan, monkeypatch):
    program, plan = dynamic_plan("10.16")
    monkeypatch.setenv("TRTEXEC", str(program))
    other = plan.with_name("other.plan")
    other.write_bytes(plan.read_bytes())

    for each in (plan, other):
        assert bench(each, "--no-end-to-end")[0] == 0

    kept = json.loads((plan.parent / "benchmark.json").read_text())
    assert [each["engine"] for each in kept["benchmarks"]] == [str(plan), str(other)]
    logs = {path.name: path.read_text() for path in plan.parent.glob("*.log")}
    assert sorted(logs) == ["10.16.plan.benchmark.log", "other.plan.benchmark.log"]
    assert f"--loadEngine={other}" in logs["other.plan.benchmark.log"]


def test_an_engine_of_open_height_and_width_is_measured_at_the_shape_that_is_named(
    bench, refused, dynamic_plan, monkeypatch
):
    """trtexec 8.6 fails on it without a shape, and tells no range."""
    program, plan = dynamic_plan("8.6.0", {"images": [[1, 3, side, side] for side in (32, 64, 96)]})
    monkeypatch.setenv("TRTEXEC", str(program))

    left, err = refused(plan)
    assert left == 2
    assert "input images has open height and width" in err
    assert "name one shape with --shape, as images:1x3x640x640" in err
    left, out, _ = bench(plan, "--shape", "1x3x96x96", "--json")
    assert left == 0
    assert json.loads(out)["benchmarks"][0]["shapes"] == {"images": [1, 3, 96, 96]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--batch", "16"), "images:16x3x64x64 is outside what the engine takes: images 1..8 x 3 x 64 x 64"),
        (("--batch", "1,x"), "'1,x' is no list of batches"),
        (("--batch", "0"), "'0' is no list of batches"),
        (("--batch", ","), "',' is no list of batches"),
        (("--shape", "input:1x3x64x64"), "the engine has no input 'input'"),
        (("--shape", "large"), "'large' is no shape"),
    ],
)
def test_what_cannot_be_measured_is_refused(refused, engine, words, said):
    left, err = refused(engine, *words)

    assert left == 2
    assert said in err
    assert not (engine.parent / "benchmark.json").exists()


def test_an_onnx_is_told_apart_and_no_folder_is_made_for_it(refused, little_yolo, tmp_path):
    left, err = refused(little_yolo, "-o", tmp_path / "there" / "b.json")

    assert left == 2
    assert "is an ONNX, not an engine" in err
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("name", ["gone.plan", "gone/gone.plan"])
def test_an_engine_that_is_not_there_makes_no_folder(refused, tmp_path, name):
    left, err = refused(tmp_path / name)

    assert left == 2
    assert "No such file" in err
    assert list(tmp_path.iterdir()) == []


def test_results_that_cannot_be_written_are_told_before_anything_is_measured(refused, engine, monkeypatch):
    monkeypatch.setenv("FAKE_TRTEXEC_FAIL", "hang")

    left, err = refused(engine, "-o", engine.parent)
    assert (left, "is a folder" in err) == (2, True)
    left, err = refused(engine, "-o", engine / "b.json")
    assert (left, "is a file, not a folder" in err) == (2, True)


@pytest.mark.parametrize("name", ["10.16.plan", "link.json"])
def test_results_never_take_the_place_of_the_engine(refused, engine, name):
    (engine.parent / "link.json").symlink_to(engine)
    held = engine.read_bytes()

    left, err = refused(engine, "-o", engine.parent / name)

    assert (left, "itself, which would be lost" in err) == (2, True)
    assert engine.read_bytes() == held


def test_a_plot_never_takes_the_place_of_the_engine(refused, engine):
    engine = engine.rename(engine.with_name("fast.svg"))

    left, err = refused(engine, "-o", engine.with_name("fast.json"))

    assert (left, "itself, which would be lost" in err) == (2, True)


@pytest.mark.parametrize("name", ["out.svg", "10.16.plan.benchmark.log"])
def test_results_where_their_plot_or_log_goes_are_refused(refused, engine, name):
    left, err = refused(engine, "-o", engine.parent / name)

    assert (left, f"{name} is where a plot or a log goes" in err) == (2, True)


def test_a_file_that_holds_something_else_is_not_replaced(refused, engine, tmp_path):
    (tmp_path / "foreign.json").write_text('{"mine": 1}')

    left, err = refused(engine, "-o", tmp_path / "foreign.json")

    assert (left, "foreign.json is there already and holds no benchmarks" in err) == (2, True)
    assert (tmp_path / "foreign.json").read_text() == '{"mine": 1}'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--duration", "nan"), "'nan' is no finite number"),
        (("--duration", "inf"), "not in the range"),
        (("--warm-up", "99999999999999999999999"), "not in the range"),
    ],
)
def test_a_time_that_nobody_can_wait_for_is_a_wrong_option(bench, engine, words, said):
    left, out, err = bench(engine, *words)

    assert (left, out) == (2, "")
    assert f"Invalid value for '{words[0]}': " in err
    assert said in err


@pytest.mark.parametrize(
    ("fail", "code", "said"),
    [
        ("no-gpu", 3, "CUDA finds no GPU that it can use"),
        ("out-of-memory", 3, "does not fit into the memory that is free"),
        ("other-gpu", 3, "was built on a GPU of compute capability 8.6"),
        ("killed", 4, "was killed by SIGKILL"),
        ("segfault", 4, "was killed by SIGSEGV although it said PASSED"),
    ],
)
def test_each_failure_has_its_exit_code(refused, engine, monkeypatch, *, fail, code, said):
    (engine.parent / "report.json").write_text("{}")
    monkeypatch.setenv("FAKE_TRTEXEC_FAIL", fail)

    left, err = refused(engine)

    assert left == code
    assert said in err


def test_a_machine_with_nothing_that_measures_exits_with_3(refused, engine, monkeypatch):
    monkeypatch.delenv("TRTEXEC")
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("polyyolo.engines.programs.TRTEXEC_FOLDERS", ())
    monkeypatch.setattr("polyyolo.engines.bindings.version_of", lambda *_: "")

    left, err = refused(engine)

    assert left == 3
    assert "nothing here measures" in err


def test_what_was_measured_before_a_failure_stays(bench, engine, monkeypatch):
    bench(engine, "--batch", "1")
    monkeypatch.setenv("FAKE_TRTEXEC_FAIL", "out-of-memory")

    bench(engine, "--batch", "8")

    kept = json.loads((engine.parent / "benchmark.json").read_text())
    assert [each["batch"] for each in kept["benchmarks"]] == [1]


def test_ctrl_c_ends_trtexec_too_and_leaves_nothing(engine, tmp_path):
    environment = {**os.environ, "FAKE_TRTEXEC_FAIL": "hang", "TMPDIR": str(tmp_path)}
    script = "import sys; from polyyolo.cli import main; main(sys.argv[1:])"
    argv = [sys.executable, "-c", script, "bench", str(engine)]
    (engine.parent / "report.json").write_text(_report_of(engine))
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as child:
        logs = "polyyolo-bench-*/10.16.plan.benchmark.log"
        _wait_for(lambda: any("Starting inference" in log.read_text() for log in tmp_path.glob(logs)))
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)

    assert child.returncode == 130
    assert "interrupted" in said
    assert sorted(path.name for path in engine.parent.iterdir()) == [
        "10.16.plan",
        "10.16.plan.benchmark.log",
        "report.json",
    ]
    assert not list(tmp_path.glob("polyyolo-*"))


def test_two_at_once_measure_the_same_engine_each_at_its_own_shapes(engine, tmp_path):
    script = "import sys; from polyyolo.cli import main; main(sys.argv[1:])"
    argv = [sys.executable, "-c", script, "bench", str(engine), "-o", str(tmp_path / "out.json"), "--json", "--batch"]

    children = [subprocess.Popen([*argv, str(batch)], stdout=subprocess.PIPE, text=True) for batch in (1, 2, 4)]
    said = [json.loads(child.communicate(timeout=120)[0]) for child in children]

    told = [[(each["batch"], each["gpu"]) for each in one["benchmarks"]] for one in said]
    assert told == [[(batch, "NVIDIA H200")] for batch in (1, 2, 4)]
    kept = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert sorted(each["batch"] for each in kept) == [1, 2, 4]


def _report_of(engine):
    shapes = {bound: [4, 3, 64, 64] for bound in ("min", "opt", "max")}
    profile = {"name": "p", "optimizations": [{"images": shapes}]}
    return json.dumps({"engine": {"sha256": sha256_of(engine)}, "profile": profile})


def _wait_for(ready):
    for _ in range(1000):
        if ready():
            return
        time.sleep(0.02)
    raise AssertionError("it never began")
