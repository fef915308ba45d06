"""Comparison by boxes for ``polygraphy run --yolo-compare``."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve
from polygraphy.logger import G_LOGGER

from polyyolo.errors import InputError, ModelError
from polyyolo.images.letterbox import Fit
from polyyolo.models.spec import read_spec
from polyyolo.records import SAME_BOX, USUAL, Agreement, Head, HeadKind
from polyyolo.reports.accuracy_checks import ENOUGH_BOXES
from polyyolo.telling import told
from polyyolo.verification.agreement import match
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.inference import DISPLAY, find

WHOLE_INPUT = Fit(source=(1 << 20, 1 << 20), scale=(1.0, 1.0), offset=(0, 0))
"""Boxes stay where they are in the model's input: nobody knows the pictures here, and IoU is the same there."""


class Together:
    """Whether two runners agree on all boxes so far: Polygraphy asks for the truth of it after the last iteration.

    Mutable, because F1 belongs to all pictures together: on a picture with one box it is 0 or 1. Two runners without a
    single box do not agree: that would pass by absence.
    """

    def __init__(self, iou: float, least: float) -> None:
        self.found = Agreement(DISPLAY.confidence, iou, 0, 0, 0)
        self.least = least

    def add(self, first: Boxes, second: Boxes) -> None:
        """Count one picture."""
        found = self.found
        self.found = evolve(
            found,
            matched=found.matched + len(match(first, second, found.iou)[0]),
            reference_boxes=found.reference_boxes + len(first),
            candidate_boxes=found.candidate_boxes + len(second),
        )

    @property
    def boxes(self) -> int:
        """Boxes of the runner that found more."""
        return max(self.found.reference_boxes, self.found.candidate_boxes)

    def __bool__(self) -> bool:
        return self.boxes > 0 and self.found.f1 >= self.least

    def __str__(self) -> str:
        found = self.found
        if not self.boxes:
            return f"neither has a box above {found.confidence:g}, so that nothing is compared"
        few = "" if self.boxes >= ENOUGH_BOXES else f"; {ENOUGH_BOXES} boxes or more would prove something"
        return (
            f"F1 {found.f1:.4f} at IoU {found.iou:g}, {self.least:g} wanted: {found.matched} boxes match of "
            f"{found.reference_boxes} and {found.candidate_boxes}{few}"
        )


class BoxCompareFunc:
    """Decode what two runners gave, suppress what overlaps, and hold the F1 of the boxes to a limit.

    Boxes above a confidence of 0.25 count, in pixels of the model's input.
    """

    def __init__(self, model: str, iou: float | None = None, least: float | None = None) -> None:
        """Learn from an ONNX how boxes are read.

        Args:
            model: the ONNX that both runners' outputs are those of.
            iou: least overlap of two boxes that are the same; None takes that of ``polyyolo engine``.
            least: F1 that passes; None takes the default of ``polyyolo engine``.

        Raises:
            PolygraphyException: the model cannot be read, or no YOLO head is recognised in it.
        """
        self._head = head_of(Path(model))
        self._iou = SAME_BOX if iou is None else iou
        self._least = USUAL.limits.min_agreement if least is None else least
        self._pairs: dict[tuple[str, str], Together] = {}

    def __call__(self, first: Any, second: Any) -> "OrderedDict[str, Together]":  # noqa: ANN401 - Polygraphy is untyped
        """Compare one iteration of two runners.

        Args:
            first: Polygraphy's ``IterationResult``: output name -> array.
            second: the other runner's.

        Returns:
            "boxes" -> what all iterations of these two come to.
        """
        pair = (first.runner_name, second.runner_name)
        together = self._pairs.setdefault(pair, Together(self._iou, self._least))
        with told():
            found = boxes_of(first, self._head), boxes_of(second, self._head)
            if len(found[0]) != len(found[1]):
                raise InputError(
                    f"{pair[0]} has {len(found[0])} pictures in a batch, {pair[1]} has {len(found[1])}",
                    fix="give both the same --input-shapes",
                )
            for ours, theirs in zip(*found, strict=True):
                together.add(ours, theirs)
        G_LOGGER.info(f"Boxes | {pair[0]} vs. {pair[1]} | {together}")
        return OrderedDict(boxes=together)


def head_of(model: Path) -> Head:
    """Read how a model's outputs become boxes.

    Raises:
        PolygraphyException: it cannot be read, or has no head that polyyolo knows.
    """
    with told():
        head = read_spec(model).head
        if head.kind is HeadKind.NONE:
            raise ModelError(
                f"{model} has no boxes to compare: {head.why}",
                fix="leave --yolo-compare out, and choose one of Polygraphy's with --compare",
            )
    return head


def boxes_of(outputs: Mapping[str, Array], head: Head) -> list[Boxes]:
    """Read the boxes of each picture of a batch, in pixels of the model's input.

    Raises:
        ModelError: an output is missing, or has not the shape that the head says.
    """
    missing = [name for name in head.outputs if name not in outputs]
    if missing:
        raise ModelError(
            f"the outputs {', '.join(outputs)} lack {', '.join(missing)}, where the boxes are",
            fix="compare runs of the same model, with all of its outputs",
        )
    picked = {name: outputs[name] for name in head.outputs}
    pictures = len(picked[head.outputs[0]])
    return find(picked, head, [WHOLE_INPUT] * pictures, DISPLAY)
