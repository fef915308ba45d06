"""How times are distributed, and whether they are steady."""

from collections.abc import Iterator

import numpy as np

from polyyolo.engines.trtexec_results import Series, percentile
from polyyolo.records import Latency

PARTS = 50
"""Into so many parts a measurement is cut to see its course."""
UNSTEADY = 0.025
"""Coefficient of variation from which trtexec 10 and 11 warn."""
DRIFT = 0.02
"""How much the last tenth may differ from the first."""
FEW = 50


def latency(times_ms: Series) -> Latency:
    """Sum up (N,) times in milliseconds; percentiles are trtexec's."""
    ordered = np.sort(times_ms)
    return Latency(
        samples=ordered.size,
        min_ms=float(ordered[0]),
        mean_ms=float(ordered.mean()),
        median_ms=float(np.median(ordered)),
        p90_ms=percentile(ordered, 90),
        p95_ms=percentile(ordered, 95),
        p99_ms=percentile(ordered, 99),
        max_ms=float(ordered[-1]),
        quantiles_ms=tuple(round(float(value), 6) for value in np.quantile(ordered, np.linspace(0, 1, 101))),
    )


def course(times_ms: Series) -> tuple[float, ...]:
    """Give the medians of successive parts: ``PARTS`` of them, or one a query where there are fewer."""
    parts = np.array_split(times_ms, min(PARTS, times_ms.size))
    return tuple(round(float(np.median(part)), 6) for part in parts)


def doubts(times_ms: Series) -> Iterator[str]:
    """Say why (N,) times of successive queries are no sound base for a figure."""
    if times_ms.size < FEW:
        yield f"only {times_ms.size} queries were measured: measure longer with --duration"
        return
    variation = float(times_ms.std() / times_ms.mean())
    if variation > UNSTEADY:
        yield (
            f"GPU compute time varies by {variation:.1%} (standard deviation over mean): lock the GPU's clock, or see "
            "what else runs on it"
        )
    tenth = times_ms.size // 10 or 1
    first, last = float(np.median(times_ms[:tenth])), float(np.median(times_ms[-tenth:]))
    if abs(last / first - 1) > DRIFT:
        yield (
            f"GPU compute time drifted from {first:.4g} ms to {last:.4g} ms: warm up longer with --warm-up, "
            "or let the GPU cool"
        )
