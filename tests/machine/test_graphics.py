import pytest

from polyyolo.machine import graphics
from polyyolo.machine.finding import State
from polyyolo.machine.graphics import look_at_gpu

ADA = "NVIDIA GeForce RTX 4090, 8.9"


def smi(answer, driver="580.65.06"):
    return f"case $1 in *driver*) echo '{driver}';; *) echo '{answer}';; esac"


def told():
    return {each.name: (each.state, each.got) for each in look_at_gpu()}


def test_a_gpu_of_today_does_int8_and_runs_rtx_engines(machine):
    machine(nvidia_smi=smi(ADA))

    assert told() == {
        "NVIDIA GPU": (State.FOUND, "NVIDIA GeForce RTX 4090, compute capability 8.9"),
        "driver": (State.FOUND, "580.65.06"),
        "INT8": (State.FOUND, "on tensor cores"),
        "GPU for RTX engines": (
            State.FOUND,
            "8.9 is supported; NVIDIA lists INT8 for weights of matrix products only",
        ),
    }


@pytest.mark.parametrize(
    ("capability", "int8", "rtx"),
    [
        ("5.2", State.MISSING, State.MISSING),
        ("6.1", State.FOUND, State.MISSING),
        ("6.2", State.MISSING, State.MISSING),
        ("7.0", State.FOUND, State.MISSING),
        ("7.5", State.FOUND, State.FOUND),
        ("8.7", State.FOUND, State.MISSING),
        ("9.0", State.FOUND, State.MISSING),
        ("10.3", State.MISSING, State.MISSING),
        ("12.0", State.FOUND, State.FOUND),
    ],
)
def test_the_compute_capability_decides_over_int8_and_rtx(machine, capability, int8, rtx):
    machine(nvidia_smi=smi(f"Some GPU, {capability}"))

    found = told()

    assert (found["INT8"][0], found["GPU for RTX engines"][0]) == (int8, rtx)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 9", "nvidia-smi failed"),
        ("exec /bin/sleep 60", "gave no answer within"),
        ("echo 'No devices were found'", "No devices were found"),
        ("printf '\\377\\376\\000\\001'", "nvidia-smi said"),
        ("kill -SEGV $$", "nvidia-smi failed"),
    ],
)
def test_a_driver_that_is_broken_is_one_missing_gpu(machine, monkeypatch, script, reason):
    monkeypatch.setattr("polyyolo.engines.gpu.PATIENCE_S", 0.3)
    machine(nvidia_smi=script)

    (found,) = look_at_gpu()

    assert (found.name, found.state) == ("NVIDIA GPU", State.MISSING)
    assert reason in found.got
    assert "install NVIDIA's driver" in found.fix


@pytest.mark.parametrize("answer", ["Some GPU, [N/A]", "junk,junk", "a,,", "GPU, 8.9.1"])
def test_a_capability_that_is_none_is_told_as_it_came(machine, answer):
    machine(nvidia_smi=smi(answer, driver="?"))

    found = told()

    assert found["INT8"] == (State.FLAWED, f"nvidia-smi gave the compute capability {answer.split(',')[-1].strip()!r}")
    assert found["driver"] == (State.FLAWED, "its version is unknown: nvidia-smi said '?'")


def test_a_driver_older_than_the_builders_cuda_is_named(machine, monkeypatch):
    monkeypatch.setattr(graphics, "versions", lambda: {"tensorrt-rtx-cu13": "1.7.1", "tensorrt-rtx": "1.7.1"})
    machine(nvidia_smi=smi(ADA, driver="550.54.15"))

    assert told()["driver"] == (State.FLAWED, "550.54.15, but tensorrt-rtx-cu13 needs 580 or newer")
