"""What was measured, and what it came to."""

from collections.abc import Mapping
from enum import Enum

from attrs import field, frozen

HARDLY = 0.02
"""An mAP50-95 below which a model finds hardly anything of the labels."""
SAME_OBJECT, SAME_BOX = 0.5, 0.9
"""Overlaps (IoU) from which on two boxes show the same object, and are the same box."""


@frozen
class Agreement:
    """How well two models' boxes match: same class, IoU at least ``iou``, one to one, on boxes above ``confidence``."""

    confidence: float
    iou: float
    matched: int
    reference_boxes: int
    candidate_boxes: int

    @property
    def precision(self) -> float:
        """Share of the candidate's boxes that the reference has too; 1 where neither has any."""
        return self.matched / self.candidate_boxes if self.candidate_boxes else float(not self.reference_boxes)

    @property
    def recall(self) -> float:
        """Share of the reference's boxes that the candidate has too; 1 where neither has any."""
        return self.matched / self.reference_boxes if self.reference_boxes else float(not self.candidate_boxes)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.reference_boxes + self.candidate_boxes
        return 2 * self.matched / both if both else 1.0


@frozen
class Accuracy:
    """COCO's mean average precision of one model on labelled pictures, 0 to 1.

    Attributes:
        per_class: class name -> mAP50-95, for the classes that the labels hold.
        per_size: "small", "medium", "large" -> mAP50-95, COCO's areas; only sizes that the labels hold.
    """

    map50_95: float
    map50: float
    pictures: int
    per_class: Mapping[str, float] = field(factory=dict)
    per_size: Mapping[str, float] = field(factory=dict)

    @property
    def finds_hardly_anything(self) -> bool:
        """Whether labels are rather of other classes or pictures than hard to find: there is little to lose then."""
        return self.map50_95 < HARDLY


@frozen
class Shown:
    """One picture that is drawn with both models' boxes, and what they found on it above the usual confidence.

    Attributes:
        file: the side-by-side picture, below the run's folder.
        picture: name of the file that the models saw.
        reference_boxes: found by the FP32 model.
        candidate_boxes: found by the other.
        matched: found by both, of the same class and at IoU 0.5.
        disagreement: sum of the scores of boxes that only one of them has.
    """

    file: str
    picture: str
    reference_boxes: int
    candidate_boxes: int
    matched: int
    disagreement: float


@frozen
class Fidelity:
    """What a model keeps of another, on the same pictures: INT8 of FP32 in ONNX Runtime, an engine of its ONNX.

    Attributes:
        pictures: how many were compared, none of them used in calibration where that could be had.
        held_out: whether that could be had.
        signal_to_noise_db: output name -> ratio in dB of the raw output's power to the error's.
        not_finite: names of outputs in which one of the two gives NaN or infinity.
        agreements: box agreement by threshold; empty for models without a recognised head.
        reference: accuracy of the FP32 model, where labels were given.
        candidate: accuracy of the quantized model, where labels were given.
        drop_error: standard error of the drop in points, from leaving out an eighth of the pictures at a time.
        shown: the pictures that are drawn, those on which the models differ most first.
    """

    pictures: int
    held_out: bool
    signal_to_noise_db: Mapping[str, float]
    agreements: tuple[Agreement, ...] = ()
    reference: Accuracy | None = None
    candidate: Accuracy | None = None
    drop_error: float | None = None
    shown: tuple[Shown, ...] = ()
    not_finite: tuple[str, ...] = ()

    @property
    def drop_points(self) -> float | None:
        """Points (hundredths) of mAP50-95 lost against FP32; None without labels."""
        if self.reference is None or self.candidate is None:
            return None
        return 100 * (self.reference.map50_95 - self.candidate.map50_95)


class Outcome(str, Enum):
    """What a check, or all of them together, came to."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    UNPROVEN = "UNPROVEN"


@frozen
class Check:
    """One thing that was asked for: what was wanted, what was got."""

    name: str
    wanted: str
    got: str
    outcome: Outcome


@frozen
class Verdict:
    """All checks of a run; never PASS by absence."""

    checks: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """FAIL if any check failed, UNPROVEN if any did not run or there is none, else PASS."""
        outcomes = {check.outcome for check in self.checks}
        if Outcome.FAIL in outcomes:
            return Outcome.FAIL
        return Outcome.PASS if outcomes == {Outcome.PASS} else Outcome.UNPROVEN
