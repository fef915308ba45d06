"""A model run over many pictures: batches of the size that it wants, and boxes on the pictures themselves."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
from attrs import frozen

from polyyolo import progress
from polyyolo.errors import ModelError
from polyyolo.files import sha256_of
from polyyolo.images.letterbox import Fit
from polyyolo.images.stream import tensors
from polyyolo.models.reading import sha256_of_model
from polyyolo.models.tensors import refuse_more_inputs
from polyyolo.records import Head, HeadKind, ModelSpec, Preprocessing
from polyyolo.verification.boxes import Array, Boxes, areas
from polyyolo.verification.decode import decode
from polyyolo.verification.engine_session import EngineSession, engine_of
from polyyolo.verification.nms import nms
from polyyolo.verification.session import Session


@frozen
class Selection:
    """Which boxes count.

    Attributes:
        confidence: scores must be above this.
        iou: boxes of a class may overlap up to this.
        multi_label: every class above ``confidence`` makes a box, not only the best of a cell.
        limit: boxes a picture.
    """

    confidence: float
    iou: float
    multi_label: bool
    limit: int


DISPLAY = Selection(confidence=0.25, iou=0.45, multi_label=False, limit=300)
"""What a user of the model sees: YOLOv5's defaults for detection."""

EVALUATION = Selection(confidence=0.001, iou=0.6, multi_label=True, limit=300)
"""What mAP is computed from: YOLOv5's settings for validation; of these COCO counts the best 100 of each class."""


class Runner:
    """An ONNX or an engine that takes any number of pictures at once, ready inside a ``with`` block.

    Args:
        spec: its path is the file that is run; what that is, its first bytes tell.

    Attributes:
        batch: pictures that the model takes at once; 1 where an ONNX leaves that open, and an engine's opt.

    Raises:
        ModelError: the file cannot be loaded, or takes more than a picture.
        ToolchainError: it is an engine, and this machine cannot run it.
    """

    def __init__(self, spec: ModelSpec) -> None:
        refuse_more_inputs(spec)
        self.spec = spec
        batch = spec.image_input.dims[0]
        self.batch = batch if isinstance(batch, int) else 1
        self._session = _session(spec)

    def __enter__(self) -> "Runner":  # noqa: PYI034 - typing.Self came with Python 3.11
        self._session.__enter__()
        if isinstance(self._session, EngineSession):
            self.batch = self._session.batch
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, error, trace)

    def infer(self, pictures: Array) -> dict[str, Array]:
        """Run the model, in several goes where its batch is smaller; the last is filled up with its last picture.

        Args:
            pictures: (N, C, H, W).

        Returns:
            Output name -> array with N entries along its first axis; of a single full batch, whatever the model gives.
        """
        parts = [self._once(pictures[start : start + self.batch]) for start in range(0, len(pictures), self.batch)]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _once(self, pictures: Array) -> dict[str, Array]:
        missing = self.batch - len(pictures)
        if not missing:
            return self._session.infer({self.spec.image: pictures})
        filled = np.concatenate([pictures, np.repeat(pictures[-1:], missing, axis=0)])
        outputs = self._session.infer({self.spec.image: filled})
        return {name: output[: len(pictures)] for name, output in outputs.items()}


def refuse_changed(spec: ModelSpec) -> None:
    """Refuse a file that is not any more what was read: what is kept of it would be taken for the earlier one's.

    Raises:
        ModelError: as above.
    """
    sha256 = sha256_of(spec.path) if engine_of(spec.path) else sha256_of_model(spec.path)
    if sha256 != spec.sha256:
        raise ModelError(
            f"{spec.path} was changed meanwhile: its SHA-256 was {spec.sha256[:12]}..., and is {sha256[:12]}... now",
            fix="start again when nothing writes to it any more",
        )


def _session(spec: ModelSpec) -> Session | EngineSession:
    engine = engine_of(spec.path)
    return EngineSession(spec, engine) if engine else Session(spec.path)


def batches(
    pictures: Sequence[Path], preprocessing: Preprocessing, size: int, step: str
) -> Iterator[tuple[Array, list[Fit]]]:
    """Read pictures ahead of their use and stack them; ``step`` counts them for whoever watches.

    Yields:
        (N, C, H, W) with N at most ``size``, and where each picture lies in it.

    Raises:
        PictureError: a picture cannot be used.
    """
    with closing(tensors(pictures, preprocessing)) as stream, progress.step(step, len(pictures)):
        while chunk := list(islice(stream, size)):
            yield np.stack([tensor for _, tensor, _ in chunk]), [fit for _, _, fit in chunk]
            progress.advance(step, len(chunk))


def find(outputs: Mapping[str, Array], head: Head, fits: Sequence[Fit], selection: Selection) -> list[Boxes]:
    """Turn a batch of raw outputs into boxes on the pictures, best first.

    Returns:
        One ``Boxes`` for each of ``fits``, in pixels of the picture and at least partly on it.
    """
    candidates = decode(outputs, head, confidence=selection.confidence, multi_label=selection.multi_label)
    # The NMS inside an end-to-end model is part of what it promises; overlap 1 only sorts and cuts.
    iou = 1.0 if head.kind is HeadKind.END_TO_END else selection.iou
    kept = [nms(boxes, iou=iou, limit=selection.limit) for boxes in candidates]
    return [_on_picture(boxes, fit) for boxes, fit in zip(kept, fits, strict=True)]


def _on_picture(boxes: Boxes, fit: Fit) -> Boxes:
    """Map boxes back; those that lie in the padding have no area on the picture, and are left out."""
    xyxy = fit.to_source(boxes.xyxy)
    return Boxes(xyxy, boxes.scores, boxes.classes).take(areas(xyxy) > 0)
