"""Times are summed up as trtexec sums them up, and what makes a figure doubtful is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.benchmarking.distribution import course, doubts, latency
from polyyolo.engines.trtexec_results import read_summary, read_times

FIELDS = ("samples", "min_ms", "mean_ms", "median_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")


@pytest.mark.parametrize("run", ["load_fp16", "load_dyn"])
def test_the_exported_times_give_the_figures_of_the_real_log(shared, run):
    recorded = shared / "fixtures" / "trtexec-8.6.0"
    times = read_times(recorded / f"{run}.times.json")
    logged = read_summary((recorded / f"{run}.stdout").read_text())

    for ours, theirs in ((latency(times.compute_ms), logged.compute), (latency(times.total_ms), logged.total)):
        for field in FIELDS:
            assert getattr(ours, field) == pytest.approx(getattr(theirs, field), rel=3e-6), field
    assert 1000 * times.compute_ms.size / times.span_ms == pytest.approx(logged.queries_per_s, rel=1e-5)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=300))
def test_percentiles_are_ordered_and_between_the_extremes(times):
    found = latency(np.array(times))

    ordered = [getattr(found, field) for field in ("min_ms", "median_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")]
    assert ordered[0] == min(times)
    assert ordered[-1] == max(times)
    assert ordered[2:] == sorted(ordered[2:])
    assert len(found.quantiles_ms) == 101


def test_steady_times_raise_no_doubt():
    assert list(doubts(np.random.default_rng(0).normal(1, 0.005, 1000))) == []


def test_times_that_vary_raise_one():
    [doubt] = doubts(np.tile([0.9, 1.1], 500))

    assert doubt.startswith("GPU compute time varies by 10.0%")


def test_a_slow_drift_is_seen_below_the_limit_of_variation():
    [doubt] = doubts(np.linspace(1, 1.05, 1000))

    assert doubt.startswith("GPU compute time drifted from 1.002 ms to 1.048 ms")


def test_few_queries_are_no_base():
    [doubt] = doubts(np.ones(49))

    assert doubt.startswith("only 49 queries were measured")


def test_the_course_has_fifty_parts_or_one_a_query():
    assert course(np.arange(1.0, 101))[:2] == (1.5, 3.5)
    assert len(course(np.arange(1.0, 101))) == 50
    assert course(np.array([1.0, 2, 3])) == (1, 2, 3)
