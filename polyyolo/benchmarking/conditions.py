"""What the GPU did meanwhile: clocks, power, temperature, and whether it was held back. Nothing here ever fails."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from attrs import define, field

PERIOD_S = 0.05
HELD_BACK = {
    0x4: "its power limit",
    0x8: "a hardware slowdown",
    0x20: "its temperature",
    0x40: "its temperature (hardware)",
    0x80: "a power brake",
}
"""Bits of NVML's clocks event reasons that say that the GPU ran slower than it could."""


@define
class Watch:
    """Readings of one GPU, one a period; it changes while a thread of its own reads."""

    readings: list[tuple[float, Mapping[str, float]]] = field(factory=list)

    def during(self, seconds: float) -> Mapping[str, float]:
        """Sum up the last ``seconds``: medians, the lowest SM clock, the highest temperature."""
        recent = self._recent(seconds)
        if not recent:
            return {}
        series = {key: sorted(reading[key] for reading in recent if key in reading) for key in _keys(recent)}
        figures = {key: values[len(values) // 2] for key, values in series.items() if key != "held_back"}
        if "sm_clock_mhz" in series:
            figures["sm_clock_min_mhz"] = series["sm_clock_mhz"][0]
        if "temperature_c" in series:
            figures["temperature_c"] = series["temperature_c"][-1]
        return figures

    def held_back_by(self, seconds: float) -> tuple[str, ...]:
        """Say what kept the GPU below its clock in the last ``seconds``."""
        bits = 0
        for reading in self._recent(seconds):
            bits |= int(reading.get("held_back", 0))
        return tuple(reason for bit, reason in HELD_BACK.items() if bits & bit)

    def _recent(self, seconds: float) -> list[Mapping[str, float]]:
        since = time.monotonic() - seconds
        return [reading for moment, reading in list(self.readings) if moment >= since]


@contextmanager
def watching() -> Iterator[Watch]:
    """Read the GPU that CUDA takes while the block runs; without NVML there are simply no readings."""
    watch, done = Watch(), threading.Event()
    handle = _handle()
    thread = threading.Thread(target=_read, args=(watch, handle, done), daemon=True)
    if handle is not None:
        thread.start()
    try:
        yield watch
    finally:
        done.set()
        if handle is not None:
            thread.join()


def _handle() -> Any:  # noqa: ANN401 - pynvml has no types
    """Find the first GPU that CUDA sees; None where NVML does not answer."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip() or "0"
    try:
        import pynvml

        pynvml.nvmlInit()
        if visible.isdigit():
            return pynvml.nvmlDeviceGetHandleByIndex(int(visible))
        return pynvml.nvmlDeviceGetHandleByUUID(visible)
    except Exception:  # noqa: BLE001 - whatever is wrong with NVML, the measurement can do without
        return None


def _read(watch: Watch, handle: Any, done: threading.Event) -> None:  # noqa: ANN401 - as above
    while not done.wait(PERIOD_S):
        watch.readings.append((time.monotonic(), reading_of(handle)))


def reading_of(handle: Any) -> Mapping[str, float]:  # noqa: ANN401 - as above
    """Read one GPU; what it does not tell is left out."""
    import pynvml

    asked: Mapping[str, Callable[[], Any]] = {
        "sm_clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
        "power_w": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "temperature_c": lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        "held_back": lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
    }
    told: dict[str, float] = {}
    for name, ask in asked.items():
        with suppress(Exception):
            told[name] = float(ask())
    return told


def _keys(readings: list[Mapping[str, float]]) -> set[str]:
    return {key for reading in readings for key in reading}
