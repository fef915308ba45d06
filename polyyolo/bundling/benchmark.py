"""The speed of an engine on another machine, from what ``bench.sh`` left."""

import csv
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from polyyolo.benchmarking.distribution import course, doubts, latency
from polyyolo.bundling.contents import RESULTS, TIMES, Bundle
from polyyolo.bundling.measuring import SPEED
from polyyolo.engines.trtexec_results import read_times, remarks_in, value_in
from polyyolo.engines.versions import number_in_banner
from polyyolo.errors import InputError
from polyyolo.records import Benchmark, Engine

LOG, READINGS = "speed.log", "gpu.csv"
CLOCK, TEMPERATURE = "sm_clock_mhz", "temperature_c"
CONDITIONS = (CLOCK, "memory_clock_mhz", "power_w", TEMPERATURE)
"""The columns of ``READINGS``, in the order of ``generations.READINGS``."""


def read_benchmark(folder: Path, bundle: Bundle, engine: Engine) -> Benchmark:
    """Read what was measured.

    Raises:
        InputError: times or log are missing, cut short, or hold something else.
    """
    results = folder / RESULTS
    times = read_times(results / TIMES)
    log = _log(results / LOG)
    queries_per_s = times.compute_ms.size / times.span_ms * 1000
    return Benchmark(
        engine=engine.path,
        sha256=engine.sha256,
        shapes=bundle.shapes,
        batch=bundle.batch,
        images_per_s=queries_per_s * bundle.batch,
        gpu_compute=latency(times.compute_ms),
        end_to_end=None,
        gpu=value_in(log, "Selected Device"),
        measured_by=f"trtexec {number_in_banner(log)}",
        command=_command(log),
        settings={
            "warm-up": f"{SPEED.warm_up_ms} ms",
            "duration": f"{SPEED.duration_s:g} s",
            "streams": str(SPEED.streams),
            "CUDA graph": "on",
            "spin wait": "on",
            "copies": "left out",
        },
        conditions=_conditions(results / READINGS),
        warnings=(*(each for each in remarks_in(log) if "unstable" not in each), *doubts(times.compute_ms)),
        course_ms=course(times.compute_ms),
    )


def _log(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix="copy the folder back again, whole") from error


def _command(log: str) -> tuple[str, ...]:
    """Take the command line out of trtexec's first line; no word of it holds a space."""
    return tuple(
        next((line for line in log.splitlines() if line.startswith("&&&& RUNNING")), "").partition(" # ")[2].split()
    )


def _conditions(path: Path) -> Mapping[str, float]:
    """Sum up what nvidia-smi told meanwhile: medians, the lowest clock, the highest temperature; nothing without it."""
    if not path.is_file():
        return {}
    rows = list(csv.reader(path.read_text(encoding="utf-8", errors="replace").splitlines()))
    found = {}
    for place, name in enumerate(CONDITIONS):
        values = [float(row[place]) for row in rows if len(row) == len(CONDITIONS) and _is_number(row[place])]
        if values:
            found[name] = max(values) if name == TEMPERATURE else median(values)
            found |= {"sm_clock_min_mhz": min(values)} if name == CLOCK else {}
    return found


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()
