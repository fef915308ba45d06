"""From what was measured to a verdict: what was wanted, what was got, and what nobody has measured."""

from collections.abc import Iterator, Sequence

from polyyolo.records import Absent, Benchmark, Check, Engine, Fidelity, Limits, Measured, Outcome, Verdict
from polyyolo.reports.accuracy_checks import accuracy, agreement, own_accuracy
from polyyolo.reports.speed_checks import latencies, speed, speedups

BUILT = "engine built"
NO_ENGINE = Absent("there is no engine")
NOT_RUN = Absent("the engine was not run on a GPU")


def judge(
    engine: Engine | None,
    fidelity: Fidelity | None,
    limits: Limits,
    measured: Measured | None = None,
    baseline: Sequence[Benchmark] = (),
) -> Verdict:
    """Hold a run's results against the limits.

    Args:
        engine: None where nothing was built.
        fidelity: of the model that it was built from; None where there was nothing to compare with.
        limits: what must be kept.
        measured: what the engine did on a GPU; None where it was not run.
        baseline: of the engine that it must be faster than.
    """
    if measured is None:
        why = NOT_RUN if engine else NO_ENGINE
        measured = Measured(why, why)
    checks = (_built(engine), accuracy(fidelity, limits), agreement(fidelity, limits))
    return Verdict((*checks, *judge_measured(measured, limits, baseline)))


def judge_measured(measured: Measured, limits: Limits, baseline: Sequence[Benchmark] = ()) -> Iterator[Check]:
    """Hold what an engine did on a GPU against the limits, wherever that was."""
    timed = measured.benchmark
    yield speed(timed, limits)
    yield from speedups(() if isinstance(timed, Absent) else (timed,), baseline, limits)
    yield own_accuracy(measured.fidelity, limits)


def judge_model(
    fidelity: Fidelity | None, limits: Limits, benchmarks: Sequence[Benchmark] = (), baseline: Sequence[Benchmark] = ()
) -> Verdict:
    """Hold a model or an engine by itself against the limits; speed only where a limit asks for it.

    Args:
        fidelity: None where there was nothing to compare with.
        limits: what must be kept.
        benchmarks: of the engine, each at other shapes.
        baseline: of the engine that it must be faster than.
    """
    kept = (accuracy(fidelity, limits), agreement(fidelity, limits))
    return Verdict((*kept, *latencies(benchmarks, limits), *speedups(benchmarks, baseline, limits)))


def _built(engine: Engine | None) -> Check:
    got = (
        f"{engine.size_bytes / 1e6:.1f} MB in {engine.build_seconds:.1f} s" if engine else "no toolchain to build with"
    )
    return Check(BUILT, "a plan file", got, Outcome.PASS if engine else Outcome.UNPROVEN)
