"""From what was measured to a verdict: what was wanted, what was got, and what nobody has measured."""

from collections.abc import Iterator, Sequence

from polyyolo.engine_layers.exported import INT8
from polyyolo.records import (
    Absent,
    Benchmark,
    Check,
    Engine,
    EngineLayer,
    Fidelity,
    Limits,
    Measured,
    Outcome,
    Precision,
    Verdict,
)
from polyyolo.reports.accuracy_checks import accuracy, agreement, own_accuracy
from polyyolo.reports.speed_checks import latencies, speed, speedups

BUILT = "engine built"
IN_INT8 = "layers in INT8"
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
    checks = (
        _built(engine),
        *in_int8(engine, measured.layers),
        accuracy(fidelity, limits),
        agreement(fidelity, limits),
    )
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
    got = f"{engine.size_bytes / 1e6:.1f} MB in {engine.build_seconds:.1f} s" if engine else "none was built here"
    return Check(BUILT, "a plan file", got, Outcome.PASS if engine else Outcome.UNPROVEN)


def in_int8(engine: Engine | None, layers: Sequence[EngineLayer]) -> Iterator[Check]:
    """Hold an engine that should be INT8 to having any of it, where its layers are known.

    TensorRT says nothing of it: of a calibration cache and names of layers to keep in FP16, 8.6.0 made a YOLOv4-tiny
    that was FP16 from end to end, as accurate as that, and as slow.
    """
    if engine is not None and engine.plan.precision is Precision.INT8 and layers:
        types = ((layer.precision, *layer.inputs, *layer.outputs) for layer in layers)
        count = sum(any(each.startswith(INT8) for each in found) for found in types)
        got = f"{count} of {len(layers)} layers read or write it"
        yield Check(IN_INT8, "some of it", got, Outcome.PASS if count else Outcome.FAIL)
