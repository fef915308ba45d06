"""Clocks and power come from NVML where it answers; where it does not, nothing happens."""

import sys
import time
from types import SimpleNamespace

import pytest

from polyyolo.benchmarking.conditions import reading_of, watching


@pytest.fixture
def nvml(monkeypatch):
    """Install an NVML that knows one GPU; what is told None of raises."""

    def install(clocks=(1980, 3201), milliwatts=350_000, celsius=51, reasons=0x0):
        def tell(value):
            if value is None:
                raise RuntimeError("NVMLError_NotSupported")
            return value

        module = SimpleNamespace(
            NVML_CLOCK_SM=1,
            NVML_CLOCK_MEM=2,
            NVML_TEMPERATURE_GPU=0,
            nvmlInit=lambda: None,
            nvmlDeviceGetHandleByIndex=lambda index: ("index", index),
            nvmlDeviceGetHandleByUUID=lambda uuid: ("uuid", uuid),
            nvmlDeviceGetClockInfo=lambda _, kind: tell(clocks[kind - 1]),
            nvmlDeviceGetPowerUsage=lambda _: tell(milliwatts),
            nvmlDeviceGetTemperature=lambda *_: tell(celsius),
            nvmlDeviceGetCurrentClocksThrottleReasons=lambda _: tell(reasons),
        )
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return install


def test_readings_are_summed_up(nvml):
    nvml()

    with watching() as watch:
        time.sleep(0.2)
        figures = watch.during(1)

    assert figures == {
        "sm_clock_mhz": 1980,
        "sm_clock_min_mhz": 1980,
        "memory_clock_mhz": 3201,
        "power_w": 350,
        "temperature_c": 51,
    }
    assert watch.held_back_by(1) == ()


def test_a_gpu_that_was_held_back_says_by_what(nvml):
    nvml(reasons=0x4 | 0x20)

    with watching() as watch:
        time.sleep(0.2)

    assert watch.held_back_by(1) == ("its power limit", "its temperature")


def test_readings_from_before_the_measurement_do_not_count(nvml):
    nvml()

    with watching() as watch:
        time.sleep(0.15)
    time.sleep(0.1)

    assert watch.during(0.01) == {}


def test_what_a_gpu_does_not_tell_is_left_out(nvml):
    nvml(milliwatts=None, reasons=None)

    assert reading_of(None) == {"sm_clock_mhz": 1980, "memory_clock_mhz": 3201, "temperature_c": 51}


@pytest.mark.parametrize(
    ("visible", "handles"),
    [
        (None, {("index", 0)}),
        ("2,3", {("index", 2)}),
        ("GPU-5a,GPU-7b", {("uuid", "GPU-5a")}),
        ("", set()),
        ("-1", set()),
    ],
)
def test_the_gpu_is_the_one_that_cuda_takes(nvml, monkeypatch, visible, handles):
    asked = []
    nvml().nvmlDeviceGetClockInfo = lambda given, _: asked.append(given) or 1
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    with watching():
        time.sleep(0.1)

    assert set(asked) == handles


def test_without_nvml_there_are_no_readings_and_no_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)

    with watching() as watch:
        time.sleep(0.1)

    assert (watch.during(1), watch.held_back_by(1)) == ({}, ())
