"""The speed of an engine on another machine, from what ``bench.sh`` left."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from polyyolo.bundling.contents import RESULTS, TIMES, Bundle
from polyyolo.bundling.measuring import SPEED
from polyyolo.engines.trtexec_results import Series, percentile, read_times, remarks_in, value_in
from polyyolo.engines.versions import number_in_banner
from polyyolo.errors import InputError
from polyyolo.records import Benchmark, Engine, Latency

LOG, READINGS = "speed.log", "gpu.csv"
CONDITIONS = ("sm_clock_mhz", "memory_clock_mhz", "power_w", "temperature_c")
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
        gpu_compute=_latency(times.compute_ms),
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
        warnings=remarks_in(log),
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


def _latency(series: Series) -> Latency:
    ordered = np.sort(series)
    p90, p95, p99 = (percentile(ordered, share) for share in (90, 95, 99))
    return Latency(
        samples=int(ordered.size),
        min_ms=float(ordered[0]),
        mean_ms=float(ordered.mean()),
        median_ms=float(np.median(ordered)),
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(ordered[-1]),
    )


def _conditions(path: Path) -> Mapping[str, float]:
    """Average what nvidia-smi told meanwhile; what it could not tell, or was not asked for, is left out."""
    if not path.is_file():
        return {}
    rows = list(csv.reader(path.read_text(encoding="utf-8", errors="replace").splitlines()))
    found = {}
    for place, name in enumerate(CONDITIONS):
        values = [float(row[place]) for row in rows if len(row) == len(CONDITIONS) and _is_number(row[place])]
        if values:
            found[name] = float(np.mean(values))
    return found


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()
