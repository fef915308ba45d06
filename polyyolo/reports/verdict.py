"""From what was measured to a verdict: what was wanted, what was got, and what nobody has measured."""

import math
from collections.abc import Iterator, Sequence

from polyyolo.records import Benchmark, Check, Engine, Fidelity, Limits, Outcome, Verdict

STRICT_IOU = 0.9
ENOUGH_BOXES = 50
NOT_COMPARED = "not compared with the FP32 model"
NOT_TIMED = "not measured: no benchmark of the engine"


def judge(engine: Engine | None, fidelity: Fidelity | None, limits: Limits) -> Verdict:
    """Hold a run's results against the limits."""
    return Verdict((_built(engine), _drop(fidelity, limits), _agreement(fidelity, limits), *_on_gpu(engine)))


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
    accuracy = (_drop(fidelity, limits), _agreement(fidelity, limits))
    return Verdict((*accuracy, *_latency(benchmarks, limits), *_speedup(benchmarks, baseline, limits)))


def _built(engine: Engine | None) -> Check:
    got = (
        f"{engine.size_bytes / 1e6:.1f} MB in {engine.build_seconds:.1f} s" if engine else "no toolchain to build with"
    )
    return Check("engine built", "a plan file", got, Outcome.PASS if engine else Outcome.UNPROVEN)


def _drop(fidelity: Fidelity | None, limits: Limits) -> Check:
    """A drop above the limit fails only when the pictures suffice to be sure of it: twice the standard error."""
    name, wanted = "accuracy against FP32", f"at most {limits.max_drop:g} points of mAP50-95 lost"
    if fidelity is None:
        return Check(name, wanted, NOT_COMPARED, Outcome.UNPROVEN)
    if fidelity.reference is None or fidelity.candidate is None or fidelity.drop_points is None:
        return Check(name, wanted, "no labelled pictures", Outcome.UNPROVEN)
    if not fidelity.reference.map50_95:
        return Check(
            name, wanted, "FP32 finds none of the labelled objects: there is nothing to lose", Outcome.UNPROVEN
        )
    drop, doubt = fidelity.drop_points, 2 * (fidelity.drop_error or 0.0)
    got = (
        f"{drop:+.2f} points lost (2 standard errors: {doubt:.2f}), {fidelity.candidate.map50_95:.4f} "
        f"of {fidelity.reference.map50_95:.4f}, on {fidelity.pictures} pictures"
    )
    if drop <= limits.max_drop:
        return Check(name, wanted, got, Outcome.PASS)
    if drop - doubt > limits.max_drop:
        return Check(name, wanted, got, Outcome.FAIL)
    return Check(name, wanted, f"{got}: too few pictures to tell", Outcome.UNPROVEN)


def _agreement(fidelity: Fidelity | None, limits: Limits) -> Check:
    """Fail only when the boxes suffice to be sure of it: twice the standard error of a share."""
    name, wanted = "box agreement with FP32", f"F1 of at least {limits.min_agreement:g} at IoU {STRICT_IOU}"
    if fidelity is None:
        return Check(name, wanted, NOT_COMPARED, Outcome.UNPROVEN)
    found = [each for each in fidelity.agreements if each.iou == STRICT_IOU]
    boxes = max(found[0].reference_boxes, found[0].candidate_boxes) if found else 0
    if not boxes:
        return Check(name, wanted, "no boxes to compare", Outcome.UNPROVEN)
    f1 = found[0].f1
    got = f"{f1:.3f} on {boxes} boxes"
    if f1 >= limits.min_agreement and boxes >= ENOUGH_BOXES:
        return Check(name, wanted, got, Outcome.PASS)
    if f1 + 2 * math.sqrt(f1 * (1 - f1) / boxes) < limits.min_agreement:
        return Check(name, wanted, got, Outcome.FAIL)
    return Check(name, wanted, f"{got}: too few boxes to tell", Outcome.UNPROVEN)


def _on_gpu(engine: Engine | None) -> tuple[Check, Check]:
    """Say what only a GPU can prove; nothing here runs engines yet, so that it is never claimed."""
    subject = "the engine was not run on a GPU" if engine else "there is no engine"
    return (
        Check("speed", "a latency measured on the GPU", subject, Outcome.UNPROVEN),
        Check("the engine's own accuracy", "equal to what ONNX Runtime predicts", subject, Outcome.UNPROVEN),
    )


def _latency(benchmarks: Sequence[Benchmark], limits: Limits) -> Iterator[Check]:
    """Hold each benchmark against the limit."""
    if limits.max_latency_ms is None:
        return
    wanted = f"at most {limits.max_latency_ms:g} ms, median of the GPU's work"
    if not benchmarks:
        yield Check("latency", wanted, NOT_TIMED, Outcome.UNPROVEN)
    for each in benchmarks:
        median = each.gpu_compute.median_ms
        got = f"{median:.3f} ms on {each.gpu}, {each.gpu_compute.samples} queries by {each.measured_by}"
        yield Check(
            f"latency{_told(each, benchmarks)}", wanted, got + _doubts(each), _within(median <= limits.max_latency_ms)
        )


def _speedup(benchmarks: Sequence[Benchmark], baseline: Sequence[Benchmark], limits: Limits) -> Iterator[Check]:
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
    """Compare with what the baseline did at the same shapes on the same GPU."""
    rivals = [other for other in baseline if (other.shapes, other.gpu) == (benchmark.shapes, benchmark.gpu)]
    if not rivals:
        missing = f"the baseline was not measured at these shapes on {benchmark.gpu}"
        return Check(name, wanted, missing, Outcome.UNPROVEN)
    before, now = rivals[0].gpu_compute.median_ms, benchmark.gpu_compute.median_ms
    got = f"{before / now:.2f} times: {now:.3f} ms of {before:.3f} ms, medians of the GPU's work on {benchmark.gpu}"
    return Check(name, wanted, got + _doubts(rivals[0], benchmark), _within(before / now >= least))


def _told(benchmark: Benchmark, among: Sequence[Benchmark]) -> str:
    """Name the shapes where there are several."""
    shapes = ", ".join("x".join(map(str, shape)) for shape in benchmark.shapes.values())
    return f", {shapes}" if len(among) > 1 else ""


def _doubts(*benchmarks: Benchmark) -> str:
    """Why figures may not be steady or not be comparable."""
    told = dict.fromkeys(warning for each in benchmarks for warning in each.warnings)
    ways = {each.measured_by for each in benchmarks}
    other = (f"measured by {' and by '.join(sorted(ways))}",) if len(ways) > 1 else ()
    return "".join(f"; {doubt}" for doubt in (*told, *other))


def _within(kept: bool) -> Outcome:  # noqa: FBT001 - the answer to the one question
    return Outcome.PASS if kept else Outcome.FAIL
