"""What a model keeps of its reference: in mAP, and in boxes. Chance neither passes nor fails it."""

import math
from collections.abc import Callable

from attrs import evolve, frozen

from polyyolo.records import SAME_BOX, Absent, Agreement, Check, Fidelity, Limits, Outcome

ENOUGH_BOXES = 50
ROUNDING = 1e-9
"""Points of mAP that are none: the difference of two means is right to about 1e-13."""
OWN_DROP = 0.1
"""Points of mAP50-95 that an engine may have less than ONNX Runtime predicts: 0.001 of mAP."""
ACCURACY = "accuracy against FP32"
AGREEMENT = "box agreement with FP32"
OWN_ACCURACY = "the engine's own accuracy"
NOT_COMPARED = "not compared with the FP32 model"


@frozen
class Wanted:
    """A limit, and what it is called.

    Attributes:
        name: of the check.
        told: what was wanted, for people.
        limit: points of mAP50-95 at most, or F1 at least.
        reference: what is compared with.
    """

    name: str
    told: str
    limit: float
    reference: str = "FP32"


def accuracy(fidelity: Fidelity | None, limits: Limits) -> Check:
    """Hold the drop in mAP against FP32."""
    told = f"at most {limits.max_drop:g} points of mAP50-95 lost"
    return _judged(fidelity, Wanted(ACCURACY, told, limits.max_drop), _drop)


def agreement(fidelity: Fidelity | None, limits: Limits) -> Check:
    """Hold the boxes against FP32's."""
    told = f"F1 of at least {limits.min_agreement:g} at IoU {SAME_BOX}"
    return _judged(fidelity, Wanted(AGREEMENT, told, limits.min_agreement), _agreement)


def own_accuracy(found: Fidelity | Absent, limits: Limits) -> Check:
    """Hold an engine against what ONNX Runtime predicted: in mAP where pictures are labelled, else in boxes.

    Args:
        found: the engine as the candidate, ONNX Runtime as the reference.
        limits: of the agreement of boxes.
    """
    runtime = "ONNX Runtime"
    if isinstance(found, Absent):
        outcome = Outcome.FAIL if found.failed else Outcome.UNPROVEN
        return Check(OWN_ACCURACY, f"as {runtime} predicts", found.why, outcome)
    noise = ", ".join(f"{name} {decibels:.1f} dB" for name, decibels in found.signal_to_noise_db.items())
    if found.reference and not found.reference.finds_hardly_anything:
        told = f"at most {OWN_DROP:g} points of mAP50-95 less than {runtime} predicts"
        judged = _judged(found, Wanted(OWN_ACCURACY, told, OWN_DROP, runtime), _drop)
        return evolve(judged, got=f"{judged.got}; {noise}")
    told = f"boxes as {runtime} predicts: F1 of at least {limits.min_agreement:g} at IoU {SAME_BOX}"
    judged = _judged(found, Wanted(OWN_ACCURACY, told, limits.min_agreement, runtime), _agreement)
    return evolve(judged, got=f"{judged.got}, {found.pictures} pictures; {noise}")


def _judged(fidelity: Fidelity | None, wanted: Wanted, judge: Callable[[Fidelity, Wanted], Check]) -> Check:
    """Judge what was compared; NaN or infinity fails, however little of it: nobody knows what other pictures give."""
    if fidelity is None:
        return _unproven(wanted, NOT_COMPARED)
    if fidelity.not_finite:
        got = f"NaN or infinity in output {', '.join(fidelity.not_finite)}"
        return Check(wanted.name, wanted.told, got, Outcome.FAIL)
    return judge(fidelity, wanted)


def _drop(fidelity: Fidelity, wanted: Wanted) -> Check:
    """A drop above the limit fails only when the pictures suffice to be sure of it: twice the standard error.

    Where the reference has hardly anything to lose, no drop passes.
    """
    if fidelity.reference is None or fidelity.candidate is None or fidelity.drop_points is None:
        return _unproven(wanted, "no labelled pictures")
    if not fidelity.reference.map50_95:
        return _unproven(wanted, f"{wanted.reference} finds none of the labelled objects: there is nothing to lose")
    drop = fidelity.drop_points
    doubt = math.inf if fidelity.drop_error is None else 2 * fidelity.drop_error
    told = "unknown" if fidelity.drop_error is None else f"{doubt:.2f}"
    change = "gained" if drop < 0 else "lost"
    got = (
        f"{abs(drop):.2f} points {change} (2 standard errors: {told}), {fidelity.candidate.map50_95:.4f} "
        f"of {fidelity.reference.map50_95:.4f}, on {fidelity.pictures} pictures"
    )
    within = drop <= wanted.limit + ROUNDING
    enough = within and fidelity.drop_error is not None
    if enough and not fidelity.reference.finds_hardly_anything:
        return Check(wanted.name, wanted.told, got, Outcome.PASS)
    if drop - doubt > wanted.limit + ROUNDING:
        return Check(wanted.name, wanted.told, got, Outcome.FAIL)
    why = f"{wanted.reference} itself finds hardly anything of the labels" if enough else "too few pictures to tell"
    return _unproven(wanted, f"{got}: {why}")


def _agreement(fidelity: Fidelity, wanted: Wanted) -> Check:
    """Fail only when the boxes suffice to be sure of it: twice the standard error of a share."""
    found = strict(fidelity)
    boxes = max(found.reference_boxes, found.candidate_boxes) if found else 0
    if not (found and boxes):
        return _unproven(wanted, "no boxes to compare")
    f1 = found.f1
    got = f"{f1:.3f} on {boxes} boxes"
    if f1 >= wanted.limit and boxes >= ENOUGH_BOXES:
        return Check(wanted.name, wanted.told, got, Outcome.PASS)
    if f1 + 2 * math.sqrt(f1 * (1 - f1) / boxes) < wanted.limit:
        return Check(wanted.name, wanted.told, got, Outcome.FAIL)
    return _unproven(wanted, f"{got}: too few boxes to tell")


def strict(fidelity: Fidelity | None) -> Agreement | None:
    """Give the agreement that is judged; None where none was measured."""
    return next((each for each in (fidelity.agreements if fidelity else ()) if each.iou == SAME_BOX), None)


def _unproven(wanted: Wanted, got: str) -> Check:
    return Check(wanted.name, wanted.told, got, Outcome.UNPROVEN)
