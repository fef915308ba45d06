"""A model that finds boxes on shots, by the code that verification measures with."""

from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from types import TracebackType

import numpy as np
from attrs import evolve, frozen

from polyyolo.detection.shots import Seen, Shot
from polyyolo.models.spec import refuse_headless
from polyyolo.records import ModelSpec, Preprocessing
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.inference import Runner, Selection, find
from polyyolo.verification.nms import CANDIDATES


@frozen
class Look:
    """A model and what of its boxes is wanted.

    Attributes:
        spec: the model.
        preprocessing: how pictures become its tensors.
        selection: which boxes count.
        classes: only these classes; empty for all.
    """

    spec: ModelSpec
    preprocessing: Preprocessing
    selection: Selection
    classes: tuple[int, ...] = ()


class Detector:
    """A model, ready inside a ``with`` block.

    Raises:
        ModelError: it has no head that is known, or cannot be loaded.
    """

    def __init__(self, look: Look) -> None:
        refuse_headless(look.spec)
        self._look = look
        self._head = look.spec.head.at(look.preprocessing.size)
        self._runner = Runner(look.spec)

    def __enter__(self) -> "Detector":  # noqa: PYI034 - typing.Self came with Python 3.11
        self._runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.__exit__(kind, error, trace)

    @property
    def batch(self) -> int:
        """Pictures that the model takes at once."""
        return self._runner.batch

    def boxes(self, shots: Sequence[Shot], view: int) -> list[Boxes]:
        """Find boxes.

        Args:
            shots: at least one.
            view: which of each shot's tensors is this model's.

        Returns:
            For each shot its boxes in pixels, best first.
        """
        tensors, fits = zip(*(shot.views[view] for shot in shots), strict=True)
        outputs = self._runner.infer(np.stack(tensors))
        if not self._look.classes:
            return find(outputs, self._head, fits, self._look.selection)
        every = find(outputs, self._head, fits, evolve(self._look.selection, limit=CANDIDATES))
        return [self._wanted(boxes) for boxes in every]

    def _wanted(self, boxes: Boxes) -> Boxes:
        """The boxes of the classes asked for; the limit counts these only."""
        return boxes.take(np.flatnonzero(np.isin(boxes.classes, self._look.classes))[: self._look.selection.limit])


def detections(shots: Iterator[Shot], detectors: Sequence[Detector]) -> Generator[Seen, None, None]:
    """Run every model over every shot, in order and in batches."""
    size = max(detector.batch for detector in detectors)
    while chunk := list(islice(shots, size)):
        found = [detector.boxes(chunk, view) for view, detector in enumerate(detectors)]
        for shot, *boxes in zip(chunk, *found, strict=True):
            yield Seen(shot, tuple(boxes))
