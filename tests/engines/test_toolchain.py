import os
import sys
from pathlib import Path

import pytest

from polyyolo.engines.toolchain import find, named
from polyyolo.engines.versions import version_in_banner
from polyyolo.errors import InputError, ToolchainError
from polyyolo.installed import version_of
from polyyolo.records import ToolchainKind

GPU = "NVIDIA GeForce RTX 4090, 8.9"


@pytest.fixture
def machine(programs, monkeypatch):
    """Make a machine of given programs (name, shell script) and Python packages (name, version), and nothing else."""

    def make(packages=(), **scripts):
        installed = dict(packages)
        monkeypatch.setattr(
            "polyyolo.engines.toolchain.version_of", lambda *names: next(filter(None, map(installed.get, names)), "")
        )
        monkeypatch.setattr("polyyolo.engines.programs.version_of", lambda *names: installed.get(names[0], ""))
        return programs(**scripts)

    return make


def smi(answer):
    return f"echo '{answer}'"


def trtexec(number):
    return f"echo '&&&& RUNNING TensorRT.trtexec [TensorRT v{number}] # trtexec --help'"


def test_trtexec_with_a_gpu_comes_first(machine):
    folder = machine(
        {"polygraphy": "0.53.6", "tensorrt-rtx": "1.7.1"},
        nvidia_smi=smi(GPU),
        trtexec=trtexec(101600),
        polygraphy="true",
    )

    found = find()

    assert (found.kind, found.tensorrt, found.trtexec) == (ToolchainKind.TENSORRT, "10.16.0", folder / "trtexec")
    assert (found.gpu, found.compute_capability) == ("NVIDIA GeForce RTX 4090", "8.9")
    assert found.polygraphy_path is None


def test_polygraphy_with_tensorrts_package_comes_next(machine):
    folder = machine({"polygraphy": "0.53.6", "tensorrt": "11.4.0.106"}, nvidia_smi=smi(GPU), polygraphy="true")

    found = find("tensorrt")

    assert (found.kind, found.tensorrt, found.trtexec) == (ToolchainKind.TENSORRT, "11.4.0.106", None)
    assert (found.polygraphy, found.polygraphy_path) == ("0.53.6", folder / "polygraphy")


def test_a_tensorrt_that_is_too_old_is_passed_over(machine):
    machine(
        {"polygraphy": "0.53.6", "tensorrt-rtx": "1.7.1"}, nvidia_smi=smi(GPU), trtexec=trtexec(8401), polygraphy="true"
    )

    found = find()

    assert (found.kind, found.tensorrt) == (ToolchainKind.RTX, "1.7.1")
    assert "TensorRT 8.4.1 is older than 8.5" in found.missing


def test_without_a_gpu_tensorrt_for_rtx_builds(machine):
    folder = machine(
        {"polygraphy": "0.53.6", "tensorrt": "10.16.0", "tensorrt-rtx": "1.7.1.116"},
        trtexec=trtexec(101600),
        polygraphy="true",
    )

    found = find()

    assert (found.kind, found.tensorrt) == (ToolchainKind.RTX, "1.7.1.116")
    assert found.polygraphy_path == folder / "polygraphy"
    assert found.missing == ("no NVIDIA GPU: nvidia-smi is not installed",)


def test_where_the_command_polygraphy_is_missing_beside_trtexec_it_is_said(machine):
    folder = machine({"polygraphy": "0.53.6", "tensorrt": "8.6.0"}, nvidia_smi=smi(GPU), trtexec=trtexec(8600))

    found = find()

    assert (found.trtexec, found.polygraphy_path) == (folder / "trtexec", None)
    assert found.missing == ("the command polygraphy is neither beside this Python nor on PATH",)


def test_polygraphys_package_without_its_command_builds_nothing(machine):
    machine({"polygraphy": "0.53.6", "tensorrt": "8.6.0", "tensorrt-rtx": "1.7.1"}, nvidia_smi=smi(GPU))

    found = find()

    assert found.kind is ToolchainKind.NONE
    assert "the command polygraphy is neither beside this Python nor on PATH" in found.missing


def test_a_command_polygraphy_without_its_package_builds_nothing(machine):
    """A package of another Python's: which TensorRT it would build with is not known."""
    machine({"tensorrt-rtx": "1.7.1.116"}, polygraphy="true")

    found = find()

    assert found.kind is ToolchainKind.NONE
    assert "the Python package polygraphy is not installed" in found.missing


def test_an_empty_machine_has_no_toolchain_and_says_all_that_is_missing(machine):
    machine()

    found = find()

    assert found.kind is ToolchainKind.NONE
    assert " ".join(found.missing) == (
        "no NVIDIA GPU: nvidia-smi is not installed "
        "trtexec is neither on PATH nor in $TRTEXEC nor where TensorRT's packages put it "
        "the Python package polygraphy is not installed "
        "the Python package tensorrt is not installed "
        "the Python package tensorrt_rtx is not installed"
    )


@pytest.mark.parametrize(
    ("kind", "missing", "install"),
    [
        ("rtx", "the Python package tensorrt_rtx is not installed", "pip install 'polyyolo[rtx]'"),
        ("tensorrt", "no NVIDIA GPU", "pip install 'polyyolo[tensorrt]'"),
    ],
)
def test_insisting_on_what_is_not_here_is_an_error_with_the_install_command(machine, kind, missing, install):
    machine()

    with pytest.raises(ToolchainError, match=missing) as error:
        find(kind)

    assert install in error.value.fix


def test_trtexec_is_taken_from_where_the_environment_says(machine, tmp_path, monkeypatch):
    machine(nvidia_smi=smi(GPU), trtexec=trtexec(8601))
    other = tmp_path / "my trtexec"
    other.write_text(f"#!/bin/sh\n{trtexec(110100)}\n")
    other.chmod(0o755)
    monkeypatch.setenv("TRTEXEC", str(other))

    found = find()

    assert (found.trtexec, found.tensorrt) == (other, "11.1.0")


@pytest.mark.parametrize("spelt", ["./mine", "mine"])
def test_a_trtexec_of_this_folder_is_found_by_its_name_alone(machine, tmp_path, monkeypatch, spelt):
    machine(nvidia_smi=smi(GPU))
    (tmp_path / "mine").write_text(f"#!/bin/sh\n{trtexec(110100)}\n")
    (tmp_path / "mine").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRTEXEC", spelt)

    assert find().trtexec == tmp_path / "mine"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'error while loading shared libraries: libnvinfer.so.10' >&2; exit 127", "libnvinfer.so.10"),
        ("exit 1", "it said: nothing"),
        ("exec /bin/sleep 60", "/trtexec gave no answer within 2 s"),
        ("printf %09000d 7", f"it said: {'0' * 200}"),
    ],
)
def test_a_trtexec_that_does_not_run_is_not_used_and_its_reason_is_kept(machine, monkeypatch, script, told):
    monkeypatch.setattr("polyyolo.engines.programs.BANNER_PATIENCE_S", 2.0)
    machine(nvidia_smi=smi(GPU), trtexec=script)

    [reason] = [sentence for sentence in find().missing if "trtexec" in sentence]

    assert told in reason
    assert len(reason) < 400


def test_a_trtexec_takes_nothing_that_is_meant_for_whoever_asks_it(machine, tmp_path):
    """As in "while read model; do polyyolo build ...; done", with a trtexec that is called by ssh."""
    machine(nvidia_smi=smi(GPU), trtexec=f"/bin/cat >'{tmp_path}/taken'; {trtexec(8601)}")
    (tmp_path / "models").write_text("yolo.onnx\n")
    kept = os.dup(0)
    try:
        with (tmp_path / "models").open() as models:
            os.dup2(models.fileno(), 0)
            find()
    finally:
        os.dup2(kept, 0)
        os.close(kept)

    assert (tmp_path / "taken").read_text() == ""


def test_a_trtexec_that_is_named_but_not_there_is_told(machine, monkeypatch):
    machine(nvidia_smi=smi(GPU))
    monkeypatch.setenv("TRTEXEC", "/nowhere/trtexec")

    assert "/nowhere/trtexec does not start: No such file or directory" in find().missing


def test_polygraphy_is_left_out_when_it_would_build_with_another_tensorrt(machine):
    machine(
        {"polygraphy": "0.53.6", "tensorrt": "11.4.0"}, nvidia_smi=smi(GPU), trtexec=trtexec(8601), polygraphy="true"
    )

    found = find()

    assert (found.tensorrt, found.polygraphy_path) == ("8.6.1", None)
    assert "trtexec 8.6.1 is used; Polygraphy would build with TensorRT 11.4.0" in found.missing


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 9", "nvidia-smi failed"),
        ("echo 'No devices were found'", "nvidia-smi said 'No devices were found'"),
        ("exec /bin/sleep 60", "gave no answer within"),
    ],
)
def test_a_driver_that_fails_or_hangs_is_no_gpu(machine, monkeypatch, script, told):
    monkeypatch.setattr("polyyolo.engines.gpu.PATIENCE_S", 0.2)
    machine(nvidia_smi=script)

    assert told in " ".join(find().missing)


def test_none_can_be_asked_for_and_other_kinds_cannot():
    assert find("none").kind is ToolchainKind.NONE
    with pytest.raises(InputError, match="no toolchain 'cuda'"):
        find("cuda")


def test_a_named_toolchain_looks_nothing_up(machine):
    machine()

    there = named("10.16", compute_capability="8.9")

    assert (there.kind, there.tensorrt, there.release[0], there.compute_capability) == (
        ToolchainKind.TENSORRT,
        "10.16",
        10,
        "8.9",
    )
    assert named("1.7", kind=ToolchainKind.RTX).kind is ToolchainKind.RTX


@pytest.mark.parametrize("version", ["8.4", "7", "1.7"])
def test_tensorrt_below_8_5_is_too_old(version):
    with pytest.raises(ToolchainError, match=r"older than 8\.5"):
        named(version)


@pytest.mark.parametrize("version", ["", "ten", "10.x", "10.16-rc1"])
def test_what_is_no_version_is_refused(version):
    with pytest.raises(InputError, match="no version of TensorRT"):
        named(version)


@pytest.mark.parametrize(
    ("number", "version"),
    [
        ("8503", "8.5.3"),
        ("8601", "8.6.1"),
        ("9300", "9.3.0"),
        ("100001", "10.0.1"),
        ("101600", "10.16.0"),
        ("110100", "11.1.0"),
    ],
)
def test_the_number_in_trtexecs_banner_is_a_version(number, version):
    assert version_in_banner(f"&&&& RUNNING TensorRT.trtexec [TensorRT v{number}] [b72] # trtexec") == version


def test_a_real_banner_tells_its_version(shared):
    text = (shared / "fixtures" / "trtexec-8.6.0" / "load_fp16.stdout").read_text()

    assert version_in_banner(text) == "8.6.0"


@pytest.mark.parametrize(("version", "expected"), [("11", (11, 0)), ("10.16", (10, 16)), ("1.7.1.116", (1, 7))])
def test_a_release_is_its_two_first_numbers(version, expected):
    assert named(version, kind=ToolchainKind.RTX).release == expected


def test_versions_are_read_without_importing_the_package():
    assert version_of("no-such-package", "attrs").startswith("2")
    assert version_of("no-such-package") == ""
    assert "tensorrt" not in sys.modules


def test_a_program_beside_this_python_comes_before_path(machine, tmp_path, monkeypatch):
    folder = machine({"polygraphy": "0.53.6", "tensorrt-rtx": "1.7.1"}, polygraphy="true")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    beside = tmp_path / "polygraphy"
    beside.write_text("#!/bin/sh\n")
    beside.chmod(0o755)

    assert find("rtx").polygraphy_path == beside
    beside.unlink()
    assert find("rtx").polygraphy_path == Path(folder / "polygraphy")
