import pytest

from polyyolo.engines import toolchain
from polyyolo.machine import diagnose as subject
from polyyolo.machine.diagnose import diagnose
from polyyolo.machine.finding import Finding, State, examined
from polyyolo.records import Toolchain, ToolchainKind

GPU = "NVIDIA H200"
H200 = {"gpu": GPU, "compute_capability": "9.0"}
TENSORRT = Toolchain(ToolchainKind.TENSORRT, "10.16.0", **H200)
RTX = Toolchain(ToolchainKind.RTX, "1.7.1.116")
LOOKS = ("python", "packages", "versions", "builders", "gpu", "runs", "cache", "memory")


@pytest.fixture
def found(monkeypatch):
    """Diagnose a machine on which nothing but these findings is to be told."""

    def run(kind, *findings):
        for name in LOOKS:
            monkeypatch.setattr(subject, f"look_at_{name}", lambda *_: ())
        monkeypatch.setattr(subject, "look_at_packages", lambda: findings)
        monkeypatch.setattr(toolchain, "find", lambda: kind)
        return diagnose()

    return run


def rtx_gpu(state):
    return Finding("gpu", "GPU for RTX engines", state, "")


@pytest.mark.parametrize(
    ("kind", "findings", "answer"),
    [
        (TENSORRT, (), "builds TensorRT 10.16.0 engines for the NVIDIA H200 here, and can measure them."),
        (RTX, (), "builds TensorRT for RTX 1.7.1.116 engines without a GPU; cannot measure speed."),
        (
            Toolchain(ToolchainKind.RTX, "1.7.1", gpu="RTX 4090"),
            (rtx_gpu(State.FOUND),),
            "builds TensorRT for RTX 1.7.1 engines, and the RTX 4090 here can run them.",
        ),
        (
            Toolchain(ToolchainKind.RTX, "1.7.1", **H200),
            (rtx_gpu(State.MISSING),),
            f"builds TensorRT for RTX 1.7.1 engines; the {GPU} here cannot run them, so that speed cannot be measured.",
        ),
    ],
)
def test_a_machine_that_builds_is_ready_and_says_what_it_cannot(found, kind, findings, answer):
    told = found(kind, *findings)

    assert (told.ready, told.answer) == (True, f"Ready: {answer}")


def test_a_machine_without_a_builder_is_not_ready(found):
    told = found(Toolchain(ToolchainKind.NONE))

    assert not told.ready
    assert told.answer == "Not ready: models can be prepared here, but nothing here builds engines."


def test_a_machine_with_a_broken_package_that_is_needed_is_not_ready(found):
    broken = Finding("packages", "onnx", State.FLAWED, "1.16 cannot be imported", needed=True)
    sideline = Finding("packages", "pooch", State.MISSING, "not installed")

    told = found(RTX, broken, sideline)

    assert (told.ready, told.answer) == (False, "Not ready: something is wrong with onnx.")


def test_what_cannot_be_looked_at_is_one_finding():
    def burst():
        yield Finding("room", "one", State.FOUND, "")
        raise ModuleNotFoundError("No module named 'packaging'\nat all", name="packaging")

    (told,) = examined("packages", burst, needed=True)

    assert told.got == "cannot be looked at: ModuleNotFoundError: No module named 'packaging' at all"
    assert (told.state, told.fix, told.blocks) == (State.FLAWED, "pip install packaging", True)


def test_a_search_for_a_toolchain_that_bursts_leaves_the_rest(monkeypatch, found):
    found(RTX)

    def burst():
        raise TypeError("expected string")

    monkeypatch.setattr(toolchain, "find", burst)

    assert diagnose().toolchain.missing == ("looking for a toolchain failed: expected string",)
