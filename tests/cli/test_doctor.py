import json
import os
import subprocess
import sys

import pytest
from attrs import evolve
from click.testing import CliRunner

from polyyolo.cli import main
from polyyolo.machine import diagnose as subject
from polyyolo.machine.finding import Diagnosis, Finding, State
from polyyolo.records import Toolchain, ToolchainKind

READY = Diagnosis(
    ready=True,
    answer="Ready: builds.",
    toolchain=Toolchain(ToolchainKind.RTX, "1.7.1"),
    findings=(
        Finding("packages", "numpy", State.FOUND, "2.4.6"),
        Finding("packages", "onnx", State.FOUND, "1.23.2"),
        Finding("packages", "pooch", State.MISSING, "not installed", "models by name", "pip install pooch"),
        Finding("gpu", "NVIDIA GPU", State.MISSING, "no NVIDIA GPU", "speed", "install NVIDIA's driver"),
    ),
)


@pytest.fixture
def doctor(monkeypatch):
    def run(diagnosis, *words):
        monkeypatch.setattr(subject, "diagnose", lambda: diagnosis)
        return CliRunner().invoke(main, ["doctor", *words])

    return run


def test_the_answer_comes_first_and_each_missing_thing_with_its_use_and_its_command(doctor):
    done = doctor(READY)

    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert done.exit_code == 0
    assert lines[0] == "Ready: builds."
    assert lines[2].split() == ["✓", "2", "packages", "numpy", "2.4.6,", "onnx", "1.23.2"]
    assert lines[3:6] == ["-  pooch       not installed", "for: models by name", "fix: pip install pooch"]


def test_a_long_command_is_told_to_its_end(doctor):
    command = f"pip install --index-url https://packages.example/{'x' * 100}/end numpy"
    finding = Finding("packages", "numpy", State.MISSING, "not installed", "everything", command)

    done = doctor(evolve(READY, findings=(finding,)))

    assert command.replace(" ", "") in "".join(done.stdout.split())


def test_json_has_every_finding_by_itself(doctor):
    done = doctor(READY, "--json")

    told = json.loads(done.stdout)
    assert (told["ready"], told["answer"]) == (True, "Ready: builds.")
    assert told["toolchain"]["kind"] == "rtx"
    assert [(each["name"], each["state"]) for each in told["findings"]] == [
        ("numpy", "found"),
        ("onnx", "found"),
        ("pooch", "missing"),
        ("NVIDIA GPU", "missing"),
    ]


def test_a_machine_that_is_not_ready_exits_with_3(doctor):
    needed = Finding("packages", "onnx", State.MISSING, "not installed", "everything", "pip install onnx", needed=True)
    diagnosis = Diagnosis(ready=False, answer="Not ready.", toolchain=READY.toolchain, findings=(needed,))

    done = doctor(diagnosis)

    assert done.exit_code == 3
    assert "✗  onnx" in done.stdout


@pytest.mark.parametrize("broken", ["rich", "cattrs", "packaging", "numpy", "onnx", "filelock", "yaml"])
def test_the_real_command_survives_any_package_that_fails_to_import(tmp_path, broken):
    (tmp_path / f"{broken}.py").write_text("raise ImportError('torn')")
    places = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": places, "COLUMNS": "100"}
    command = [sys.executable, "-c", "from polyyolo.cli import main; main()", "doctor"]

    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == 3
    assert done.stdout.startswith("Not ready")
    assert "torn" in done.stdout
