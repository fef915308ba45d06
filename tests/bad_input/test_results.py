"""Folders of results that are damaged, full, read-only or not a run's: earlier results stay untouched."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def published(folder):
    return {name: data for name, data in contents(folder).items() if not name.startswith(".partial/")}


def test_files_that_no_run_wrote_are_not_replaced(engine, tmp_path):
    (tmp_path / "report.md").write_text("mine")

    code, _, err = engine(output=tmp_path)

    assert code == 2
    assert f"{tmp_path} holds other things than a run, as report.md" in err
    assert contents(tmp_path) == {"report.md": b"mine"}


def test_a_run_does_not_take_the_place_of_its_own_model(engine, earlier):
    before = contents(earlier)

    code, _, err = engine(model=earlier / "model.int8.onnx")

    assert code == 2
    assert "where results of this run would take its place" in err
    assert contents(earlier) == before


@pytest.mark.parametrize(
    ("place", "better"),
    [
        ("/sys/polyyolo/run", "a folder that you may write to"),
        ("a" * 300, "a shorter name"),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused(engine, tmp_path, place, better, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, out, err = engine(output=place)

    assert (code, out) == (2, "")
    assert err.startswith("error: cannot write below ")
    assert f"  fix: choose {better} with -o" in err
    assert list(tmp_path.iterdir()) == []


def emptied(name):
    return lambda folder: (folder / name).write_bytes(b"")


def removed(name):
    return lambda folder: (folder / name).unlink()


def steps_changed(change):
    def damage(folder):
        ledger = json.loads((folder / "steps.json").read_text())
        change(ledger["steps"])
        (folder / "steps.json").write_text(json.dumps(ledger))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        emptied("steps.json"),
        emptied("model.fp16.onnx"),
        emptied("calibration.json"),
        emptied("histograms.npz"),
        removed("model.onnx"),
        lambda folder: shutil.rmtree(folder / "pictures"),
        lambda folder: (folder / ".partial" / "model.int8.onnx").mkdir(parents=True),
        steps_changed(lambda steps: steps["calibrate"].update(result={"x": 1})),
        steps_changed(lambda steps: steps["verify"].update(seconds="long")),
    ],
)
def test_a_damaged_run_is_mended_by_running_again(engine, first, earlier, damage):
    damage(earlier)

    code, _, err = engine()

    assert (code, err) == (0, "")
    assert (earlier / "model.fp16.onnx").read_bytes() == (first / "model.fp16.onnx").read_bytes()
    assert set(contents(earlier)) == set(contents(first))


def test_a_damaged_ledger_leads_to_no_file_outside_the_run(engine, earlier):
    precious = earlier.parent / "precious"
    precious.write_text("mine")
    steps_changed(lambda steps: steps["verify"].update(key="x", outputs={"../precious": "0"}))(earlier)

    assert engine()[0] == 0
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("name", ["report.md", "model.fp16.onnx", "steps.json"])
def test_a_folder_in_the_way_stops_the_results_before_the_first_takes_its_place(engine, earlier, name):
    (earlier / name).unlink()
    (earlier / name).mkdir()
    before = published(earlier)

    code, _, err = engine("--seed", "1")

    assert code == 2
    assert f"{earlier / name} is in the way of the results" in err
    assert published(earlier) == before


@pytest.mark.parametrize(
    ("too_big", "words"),
    [
        ("model.onnx", ("--seed", "1", "--head", "none")),
        ("calibration.png", ("--seed", "1")),
        ("model.int8.onnx", ("--keep-float", "none")),
        ("report.json", ()),
    ],
)
def test_a_disk_that_fills_up_leaves_earlier_results_untouched(process, earlier, too_big, words):
    """No file may grow beyond a limit, which is how a full disk looks to a program."""
    before = published(earlier)
    limit = (earlier / too_big).stat().st_size - 1

    running = process(*words, prelude=f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))")
    out, err = running.communicate(timeout=60)

    assert (running.returncode, out) == (3, "")
    assert err.startswith("error: no space is left to write below ")
    assert err.endswith("  fix: free some space, or choose another folder with -o\n")
    assert published(earlier) == before


SLOW_STEP = """
import signal
import time
from polyyolo.cli import console
def started(bars, step, total):
    if step == {step!r}:
        print("in the middle", flush=True)
        for _ in range(600):  # Python hears of a signal that comes right before a sleep only after it
            time.sleep(0.1)
console.Bars.started = started
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background is deaf to it
"""


@pytest.mark.parametrize(
    ("step", "number", "code"),
    [
        ("check pictures", signal.SIGTERM, 143),
        ("calibrate", signal.SIGTERM, 143),
        ("sensitivity", signal.SIGINT, 130),
        ("sensitivity", signal.SIGHUP, 129),
        ("verify", signal.SIGINT, 130),
        ("verify", signal.SIGTERM, 143),
    ],
)
def test_a_run_that_is_told_to_end_leaves_earlier_results_and_no_half_file(process, earlier, step, number, code):
    before = published(earlier)

    running = process("--seed", "1", prelude=SLOW_STEP.format(step=step))
    assert running.stdout.readline() == "in the middle\n"
    running.send_signal(number)
    _, err = running.communicate(timeout=30)

    assert running.returncode == code
    assert err.splitlines()[-1].endswith(": nothing half-written was left")
    assert "Traceback" not in err
    assert published(earlier) == before
    assert [name for name in contents(earlier) if Path(name).name.startswith(".") and name != ".lock"] == []


SLOW_BUILD = """
import pathlib
from polyyolo.engines import toolchain
from polyyolo.records import Toolchain, ToolchainKind
path = pathlib.Path({script!r})
found = Toolchain(ToolchainKind.RTX, tensorrt="1.7", polygraphy="0.53", polygraphy_path=path)
toolchain.find = lambda _: found
"""


def test_a_builder_ends_when_the_run_is_told_to(process, tmp_path):
    os.mkfifo(tmp_path / "started")
    script = tmp_path / "polygraphy"
    script.write_text(
        f"#!{sys.executable}\nimport os, pathlib, sys, time\n"
        "pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).write_bytes(b'half an engine')\n"
        f"pathlib.Path({str(tmp_path / 'started')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    script.chmod(0o755)

    running = process(prelude=SLOW_BUILD.format(script=str(script)))
    builder = int((tmp_path / "started").read_text())
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=30)

    assert running.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(builder, 0)
    assert b"half an engine" not in contents(tmp_path / "run").values()
