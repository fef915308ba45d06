"""How latencies are distributed, as strips on one common scale."""

import shlex
from collections.abc import Sequence

from attrs import frozen

from polyyolo.records import Benchmark, Latency


@frozen
class Strip:
    """A benchmark, with the places of its latencies in percent of the widest strip, and its command for a shell."""

    benchmark: Benchmark
    places: dict[str, float]
    command: str


def strips(benchmarks: Sequence[Benchmark]) -> list[Strip]:
    """Place the percentiles of the GPU's time; the slowest query of all benchmarks is at 96%, so that it is seen."""
    widest = max((each.gpu_compute.max_ms for each in benchmarks), default=0) or 1
    return [Strip(each, _places(each.gpu_compute, widest / 96), shlex.join(each.command)) for each in benchmarks]


def _places(latency: Latency, unit_ms: float) -> dict[str, float]:
    return {
        name: round(getattr(latency, f"{name}_ms") / unit_ms, 2)
        for name in ("min", "median", "p90", "p95", "p99", "max")
    }
