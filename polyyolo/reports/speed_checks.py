"""How fast an engine is, held against limits: in milliseconds, and against another engine."""

from collections.abc import Iterator, Sequence

from polyyolo.records import Absent, Benchmark, Check, Limits, Outcome

SPEED = "speed"
NOT_TIMED = "not measured: no benchmark of the engine"
LAUNCH = ("streams", "CUDA graph")


def speed(found: Benchmark | Absent, limits: Limits) -> Check:
    """Tell how fast the engine of a run is; without a limit a measurement is all that is wanted."""
    limit = limits.max_latency_ms
    wanted = "a latency measured on the GPU" if limit is None else _at_most(limit)
    if isinstance(found, Absent):
        return Check(SPEED, wanted, found.why, Outcome.FAIL if found.failed else Outcome.UNPROVEN)
    median, shapes = found.gpu_compute.median_ms, _shapes(found)
    got = f"{median:.3f} ms for {shapes}, {found.images_per_s:.0f} pictures/s on {found.gpu}, by {found.measured_by}"
    return Check(SPEED, wanted, got + _doubts(found), _within(limit is None or median <= limit))


def latencies(benchmarks: Sequence[Benchmark], limits: Limits) -> Iterator[Check]:
    """Hold each benchmark against the limit."""
    if limits.max_latency_ms is None:
        return
    wanted = _at_most(limits.max_latency_ms)
    if not benchmarks:
        yield Check("latency", wanted, NOT_TIMED, Outcome.UNPROVEN)
    for each in benchmarks:
        median = each.gpu_compute.median_ms
        got = f"{median:.3f} ms on {each.gpu}, {each.gpu_compute.samples} queries by {each.measured_by}"
        yield Check(
            f"latency{_told(each, benchmarks)}", wanted, got + _doubts(each), _within(median <= limits.max_latency_ms)
        )


def speedups(benchmarks: Sequence[Benchmark], baseline: Sequence[Benchmark], limits: Limits) -> Iterator[Check]:
    """Hold each benchmark against the baseline's at the same shapes."""
    if limits.min_speedup is None:
        return
    wanted = f"at least {limits.min_speedup:g} times as fast as the baseline"
    if not benchmarks or not baseline:
        missing = "not measured: no benchmark of the baseline" if benchmarks else NOT_TIMED
        yield Check("speed-up", wanted, missing, Outcome.UNPROVEN)
    for each in benchmarks if baseline else ():
        yield _faster(f"speed-up{_told(each, benchmarks)}", wanted, each, baseline, limits.min_speedup)


def _faster(name: str, wanted: str, benchmark: Benchmark, baseline: Sequence[Benchmark], least: float) -> Check:
    """Compare with what the baseline did at the same shapes on the same GPU, measured likewise where it was."""
    rivals = [other for other in baseline if (other.shapes, other.gpu) == (benchmark.shapes, benchmark.gpu)]
    if not rivals:
        missing = f"the baseline was not measured at these shapes on {benchmark.gpu}"
        return Check(name, wanted, missing, Outcome.UNPROVEN)
    alike = [other for other in rivals if _launched(other) == _launched(benchmark)]
    if not alike:
        missing = f"the baseline was measured with {_launched(rivals[0])}, this engine with {_launched(benchmark)}"
        return Check(name, wanted, missing, Outcome.UNPROVEN)
    rival = min(
        alike, key=lambda other: (other.settings != benchmark.settings, other.measured_by != benchmark.measured_by)
    )
    before, now = rival.gpu_compute.median_ms, benchmark.gpu_compute.median_ms
    got = f"{before / now:.2f} times: {now:.3f} ms of {before:.3f} ms, medians of the GPU's work on {benchmark.gpu}"
    return Check(name, wanted, got + _doubts(rival, benchmark), _within(before / now >= least))


def _launched(benchmark: Benchmark) -> str:
    """Tell how queries were launched, which decides what the GPU's work of one takes."""
    return ", ".join(f"{name} {benchmark.settings.get(name, 'unknown')}" for name in LAUNCH)


def _told(benchmark: Benchmark, among: Sequence[Benchmark]) -> str:
    """Name the shapes where there are several."""
    return f", {_shapes(benchmark)}" if len(among) > 1 else ""


def _shapes(benchmark: Benchmark) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in benchmark.shapes.values())


def _at_most(limit_ms: float) -> str:
    return f"at most {limit_ms:g} ms, median of the GPU's work"


def _doubts(*benchmarks: Benchmark) -> str:
    """Why figures may not be steady or not be comparable."""
    told = dict.fromkeys(warning for each in benchmarks for warning in each.warnings)
    ways = {each.measured_by for each in benchmarks}
    other = (f"measured by {' and by '.join(sorted(ways))}",) if len(ways) > 1 else ()
    return "".join(f"; {doubt}" for doubt in (*told, *other))


def _within(kept: bool) -> Outcome:  # noqa: FBT001 - the answer to the one question
    return Outcome.PASS if kept else Outcome.FAIL
