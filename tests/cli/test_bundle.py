"""polyyolo bundle and polyyolo report --from, as they are typed: one run to another machine and back."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polyyolo import pipeline
from polyyolo.records import Request


@pytest.fixture(scope="module")
def made(little_yolo, little_pictures, tmp_path_factory):
    """A run, made once."""
    folder = tmp_path_factory.mktemp("made") / "run"
    pipeline.engine(Request(model=str(little_yolo), images=little_pictures, toolchain="none", output=folder))
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy of it, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture
def places(run, little_pictures, tmp_path):
    """What may stand in a command line below."""
    return {"tmp": tmp_path, "run": run, "pictures": little_pictures}


def test_a_run_goes_to_another_machine_and_comes_back_into_its_report(polyyolo, run, fake_trtexec, tmp_path):
    output = tmp_path / "bundle.tar.gz"
    code, out, _ = polyyolo("bundle", run, "-o", output, "--pictures", 3)
    assert code == 0
    assert out == f"{output}: {output.stat().st_size:,} bytes; there: sh build.sh, then sh bench.sh\n"

    subprocess.run(["tar", "-xzf", output, "-C", tmp_path], check=True)
    for script in ("build.sh", "bench.sh"):
        environment = {**os.environ, "TRTEXEC": str(fake_trtexec("10.16"))}
        subprocess.run(["sh", tmp_path / "bundle" / script], env=environment, check=True, capture_output=True)
    code, out, _ = polyyolo("report", run, "--from", tmp_path / "bundle", "--json")
    assert code == 0
    assert {Path(each["path"]).name for each in json.loads(out)["written"]} >= {
        "report.json",
        "report.md",
        "report.html",
    }

    told = json.loads((run / "report.json").read_text())
    checks = {check["name"]: (check["outcome"], check["got"]) for check in told["verdict"]["checks"]}
    assert checks["speed"] == ("PASS", "0.455 ms for 1x3x64x64, 2196 pictures/s on NVIDIA H200, by trtexec 10.16.0")
    assert checks["the engine's own accuracy"][0] == "PASS"
    assert "0.455 ms for 1x3x64x64" in (run / "report.md").read_text()


def test_json_tells_what_was_packed(polyyolo, run, tmp_path):
    code, out, err = polyyolo("bundle", run, "-o", tmp_path / "bundle", "--pictures", 3, "--with-cache", "--json")
    told = json.loads(out)

    assert (code, err) == (0, "")
    assert told.pop("bytes") > 100_000
    assert told == {
        "bundle": str(tmp_path / "bundle"),
        "routes": ["qdq", "calibrated"],
        "references": 3,
        "warnings": [],
    }


def test_other_pictures_can_be_named(polyyolo, run, little_labelled, tmp_path):
    code, *_ = polyyolo("bundle", run, "-o", tmp_path / "bundle", "--images", little_labelled, "--pictures", 1)

    assert code == 0
    assert '"held-0.png"' in (tmp_path / "bundle" / "bundle.json").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{pictures}", "-o", "{tmp}/b"), "it is not the folder of a finished run"),
        (("{tmp}/nothing", "-o", "{tmp}/b"), "is not there"),
        (("{run}", "-o", "{run}/b"), "is inside the run's folder"),
        (("{run}", "-o", "{run}"), "is inside the run's folder"),
        (("{run}", "-o", "{pictures}"), "exists already"),
        (("{run}", "-o", "."), ". exists already"),
        (("{run}", "-o", "{run}/report.md/b"), "is inside the run's folder"),
        (("{run}", "-o", "{pictures}/00.png/b"), "00.png"),
        (("{run}", "-o", "{tmp}/b", "--images", "{tmp}/none"), "none"),
        (("{run}", "-o", "{tmp}/b", "--pictures", "-1"), "-1 is not in the range"),
        (("{run}", "-o", "{tmp}/.tar.gz"), ".tar.gz has no name before its suffix"),
        (("{run}", "-o", "{tmp}/..tar.gz"), "..tar.gz has no name before its suffix"),
        (("{run}", "-o", "{tmp}/...TGZ"), "...TGZ has no name before its suffix"),
        (("{run}", "-o", "{tmp}/b.zip"), "b.zip names an archive, but .zip is not written"),
        (("{run}", "-o", "{tmp}/b.tar.XZ"), "b.tar.XZ names an archive, but .XZ is not written"),
        (("{run}",), "Missing option '-o'"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_leaves_nothing(polyyolo, places, words, message):
    before = sorted(places["tmp"].rglob("*"))
    code, out, err = polyyolo("bundle", *(word.format_map(places) for word in words), "--quiet")

    assert (code, out) == (2, "")
    assert message in err
    assert sorted(places["tmp"].rglob("*")) == before


def test_ctrl_c_leaves_nothing_half_written(made, tmp_path):
    output = tmp_path / "there" / "bundle"
    program = "from polyyolo.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "bundle", made, "-o", output], stderr=subprocess.PIPE, text=True
    ) as child:
        while child.poll() is None and not output.parent.is_dir():
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        said = child.stderr.read()

    assert child.returncode == 130, said
    assert "interrupted: nothing half-written was left" in said
    assert list(output.parent.iterdir()) == []
