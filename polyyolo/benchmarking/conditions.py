"""What the GPU did meanwhile: clocks, power, temperature, and whether it was held back. Nothing here ever fails."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any

from attrs import define, field

from polyyolo.engines.gpu import visible

PERIOD_S = 0.05
SM_CLOCK, MEMORY_CLOCK, POWER, TEMPERATURE = "sm_clock_mhz", "memory_clock_mhz", "power_w", "temperature_c"
HELD_BACK = "held_back"
REASONS = {
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
        """Sum up the last ``seconds``."""
        return summed_up(self._recent(seconds))

    def held_back_by(self, seconds: float) -> tuple[str, ...]:
        """Say what kept the GPU below its clock in the last ``seconds``."""
        bits = 0
        for reading in self._recent(seconds):
            bits |= int(reading.get(HELD_BACK, 0))
        return tuple(reason for bit, reason in REASONS.items() if bits & bit)

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
    """Find the GPU that CUDA takes; None where it takes none or NVML does not answer."""
    chosen = visible()
    if chosen is None:
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        if chosen.isdecimal():
            return pynvml.nvmlDeviceGetHandleByIndex(int(chosen))
        return pynvml.nvmlDeviceGetHandleByUUID(chosen)
    except Exception:  # noqa: BLE001 - whatever is wrong with NVML, the measurement can do without
        return None


def _read(watch: Watch, handle: Any, done: threading.Event) -> None:  # noqa: ANN401 - as above
    while not done.wait(PERIOD_S):
        watch.readings.append((time.monotonic(), reading_of(handle)))


def reading_of(handle: Any) -> Mapping[str, float]:  # noqa: ANN401 - as above
    """Read one GPU; what it does not tell is left out."""
    import pynvml

    asked: Mapping[str, Callable[[], Any]] = {
        SM_CLOCK: lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        MEMORY_CLOCK: lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
        POWER: lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        TEMPERATURE: lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        HELD_BACK: lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
    }
    told: dict[str, float] = {}
    for name, ask in asked.items():
        with suppress(Exception):
            told[name] = float(ask())
    return told


def summed_up(readings: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """Sum up readings: medians, the lowest SM clock, the highest temperature; of what no reading has there is nothing.

    Args:
        readings: quantity, as ``reading_of`` names it -> value.
    """
    keys = dict.fromkeys(key for reading in readings for key in reading if key != HELD_BACK)
    series = {key: [reading[key] for reading in readings if key in reading] for key in keys}
    figures = {key: median(values) for key, values in series.items()}
    if SM_CLOCK in series:
        figures["sm_clock_min_mhz"] = min(series[SM_CLOCK])
    if TEMPERATURE in series:
        figures[TEMPERATURE] = max(series[TEMPERATURE])
    return figures
