from pathlib import Path

import pytest

from polyyolo.engines import programs
from polyyolo.machine import builders
from polyyolo.machine.builders import look_at_builders
from polyyolo.machine.finding import State
from polyyolo.records import Toolchain, ToolchainKind

NONE = Toolchain(ToolchainKind.NONE)
RTX = Toolchain(ToolchainKind.RTX, "1.7.1")
BANNER = "echo '&&&& RUNNING TensorRT.trtexec [TensorRT v101600] # trtexec --help'"
POLYGRAPHY = "echo \"Polygraphy | Version: 0.53.6 | Path: ['x']\""


@pytest.fixture
def installed(monkeypatch):
    """Make the builders' packages be these: name -> version; they import well."""

    def install(**found):
        def version_of(*names):
            return next((found[name.replace("-", "_")] for name in names if name.replace("-", "_") in found), "")

        for module in (builders, programs):
            monkeypatch.setattr(module, "version_of", version_of)
        monkeypatch.setattr(builders, "flaws", lambda names: dict.fromkeys(names, ""))

    return install


def told(toolchain=NONE):
    return {each.name: each for each in look_at_builders(toolchain)}


def test_an_empty_machine_lacks_all_four_and_each_says_what_it_would_give(machine, installed):
    machine()
    installed()

    found = told()

    assert {name: each.state for name, each in found.items()} == dict.fromkeys(
        ("TensorRT", "trtexec", "TensorRT for RTX", "Polygraphy"), State.MISSING
    )
    assert found["TensorRT for RTX"].fix == "pip install 'polyyolo[rtx]'"
    assert found["TensorRT"].fix.startswith("pip install 'polyyolo[tensorrt]'")
    assert "TRTEXEC=" in found["trtexec"].fix
    assert all(each.enables for each in found.values())
    assert not any(each.blocks for each in found.values())


def test_what_agrees_is_told_with_versions_and_places(machine, installed):
    folder = machine(trtexec=BANNER, polygraphy=POLYGRAPHY)
    installed(tensorrt="10.16.1.11", tensorrt_rtx="1.7.1.116", polygraphy="0.53.6")

    assert {name: each.got for name, each in told().items()} == {
        "TensorRT": "10.16.1.11",
        "trtexec": f"10.16.0 at {folder / 'trtexec'}",
        "TensorRT for RTX": "1.7.1.116",
        "Polygraphy": f"0.53.6 at {folder / 'polygraphy'}",
        "trtexec and TensorRT": "agree: 10.16",
    }


def test_trtexec_of_another_release_than_the_package_is_named(machine, installed):
    machine(trtexec=BANNER)
    installed(tensorrt="8.6.0")

    found = told()["trtexec and TensorRT"]

    assert found.state is State.FLAWED
    assert found.got.startswith("trtexec is 10.16.0, the Python package is 8.6.0")
    assert found.fix == "pip install 'tensorrt==10.16.*', or set TRTEXEC to the trtexec of 8.6.0"


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 1", "did not tell its version; it said: nothing"), ("echo '\377 junk'", "did not tell its version")],
)
def test_a_trtexec_that_is_none_is_one_line(machine, installed, script, reason):
    machine(trtexec=script)
    installed()

    found = told()["trtexec"]

    assert found.state is State.FLAWED
    assert reason in found.got


def test_a_trtexec_that_is_not_executable_is_one_line(machine, installed, tmp_path, monkeypatch):
    machine()
    installed()
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    monkeypatch.setenv("TRTEXEC", str(tmp_path / "plain"))

    found = told()["trtexec"]

    assert (found.state, "Permission denied" in found.got) == (State.FLAWED, True)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 1", "it ended with status 1"),
        ("echo hello", "it did not tell its version"),
        ("echo 'Polygraphy | Version: 0.49.0 | Path'", "is 0.49.0, but the package beside this Python is 0.53.6"),
    ],
)
def test_a_polygraphy_that_does_not_work_blocks_what_it_drives(machine, installed, script, reason):
    machine(polygraphy=script)
    installed(polygraphy="0.53.6", tensorrt_rtx="1.7.1.116")

    found = told(RTX)["Polygraphy"]

    assert (found.state, found.blocks) == (State.FLAWED, True)
    assert reason in found.got


def test_a_builder_that_fails_to_import_blocks_only_where_it_would_be_used(machine, installed, monkeypatch):
    machine(polygraphy=POLYGRAPHY)
    installed(polygraphy="0.53.6", tensorrt_rtx="1.7.1.116")
    monkeypatch.setattr(builders, "flaws", lambda names: dict.fromkeys(names, "ImportError: libtensorrt_rtx.so.1"))
    by_trtexec = Toolchain(ToolchainKind.TENSORRT, "10.16.0", trtexec=Path("trtexec"))

    assert told(RTX)["TensorRT for RTX"].got == "1.7.1.116 cannot be imported: ImportError: libtensorrt_rtx.so.1"
    assert told(RTX)["TensorRT for RTX"].blocks
    assert not told(by_trtexec)["TensorRT for RTX"].blocks
