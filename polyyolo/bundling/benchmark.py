"""The speed of an engine on another machine, from what ``bench.sh`` left."""

import math
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from polyyolo.benchmarking.conditions import MEMORY_CLOCK, POWER, SM_CLOCK, TEMPERATURE, summed_up
from polyyolo.benchmarking.reading import benchmark_of
from polyyolo.benchmarking.trtexec_reading import of_times
from polyyolo.bundling.contents import RESULTS, TIMES, Bundle
from polyyolo.bundling.measuring import SPEED
from polyyolo.engines.failures import PASSED
from polyyolo.engines.trtexec_results import read_times
from polyyolo.engines.versions import version_in_banner
from polyyolo.errors import InputError
from polyyolo.files import refuse_endless
from polyyolo.records import Benchmark, Engine

LOG, READINGS = "speed.log", "gpu.csv"
WHOLE = "copy the folder back again, whole"
CONDITIONS = (SM_CLOCK, MEMORY_CLOCK, POWER, TEMPERATURE)
"""The columns of ``READINGS``, in the order of ``generations.READINGS``."""


def read_benchmark(folder: Path, bundle: Bundle, engine: Engine) -> Benchmark:
    """Read what was measured.

    Raises:
        InputError: times or log are missing, cut short, or hold something else.
    """
    results = folder / RESULTS
    times, log = read_times(results / TIMES), _log(results / LOG)
    read = evolve(
        of_times(times, log),
        shapes=bundle.shapes,
        measured_by=f"trtexec {version_in_banner(log)}",
        command=_command(log),
    )
    conditions = _conditions(results / READINGS)
    return evolve(benchmark_of(read, engine.path, engine.sha256, SPEED), conditions=conditions)


def _log(path: Path) -> str:
    """Read what trtexec printed: the GPU, its version and its warnings are told nowhere else."""
    try:
        refuse_endless(path)
        log = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix=WHOLE) from error
    if not version_in_banner(log) or PASSED not in log:
        raise InputError(f"{path} is no whole log of trtexec", fix=WHOLE)
    return log


def _command(log: str) -> tuple[str, ...]:
    """Take the command line out of trtexec's first line; no word of it holds a space."""
    return tuple(
        next((line for line in log.splitlines() if line.startswith("&&&& RUNNING")), "").partition(" # ")[2].split()
    )


def _conditions(path: Path) -> Mapping[str, float]:
    """Sum up what nvidia-smi told meanwhile; nothing without it."""
    if not path.is_file():
        return {}
    rows = [line.split(",") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    whole = [zip(CONDITIONS, map(_number, row), strict=True) for row in rows if len(row) == len(CONDITIONS)]
    return summed_up([{name: number for name, number in row if number is not None} for row in whole])


def _number(text: str) -> float | None:
    """Read a number; None for "[N/A]" and the like."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
