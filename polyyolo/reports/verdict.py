"""From what was measured to a verdict: what was wanted, what was got, and what nobody has measured."""

import math

from polyyolo.records import Check, Engine, Fidelity, Limits, Outcome, Verdict

STRICT_IOU = 0.9
ENOUGH_BOXES = 50


def judge(engine: Engine | None, fidelity: Fidelity | None, limits: Limits) -> Verdict:
    """Hold a run's results against the limits."""
    return Verdict((_built(engine), _drop(fidelity, limits), _agreement(fidelity, limits), *_on_gpu(engine)))


def _built(engine: Engine | None) -> Check:
    got = (
        f"{engine.size_bytes / 1e6:.1f} MB in {engine.build_seconds:.1f} s" if engine else "no toolchain to build with"
    )
    return Check("engine built", "a plan file", got, Outcome.PASS if engine else Outcome.UNPROVEN)


def _drop(fidelity: Fidelity | None, limits: Limits) -> Check:
    """A drop above the limit fails only when the pictures suffice to be sure of it: twice the standard error."""
    name, wanted = "accuracy against FP32", f"at most {limits.max_drop:g} points of mAP50-95 lost"
    if fidelity is None or fidelity.reference is None or fidelity.candidate is None or fidelity.drop_points is None:
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
    found = [each for each in (fidelity.agreements if fidelity else ()) if each.iou == STRICT_IOU]
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
