"""The forms in which boxes are written: one JSON list, YOLO's text files, COCO's results."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from attrs import frozen

from polyyolo import progress
from polyyolo.detection.coco_ids import CocoIds
from polyyolo.detection.shots import Seen
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.drawing import name_of

DRAWING = "pictures/{}.jpg"
"""Where a picture's drawing is; ``{}`` stands for its name."""
DETECTIONS, LABELS = "detections.json", "labels"
COCO_RESULTS, COCO_IMAGES = "coco-results.json", "coco-images.json"


class Writer(Protocol):
    """Takes what was seen, shot by shot, and has whole files once its ``with`` block is left."""

    def __enter__(self) -> "Writer":  # noqa: PYI034 - typing.Self came with Python 3.11
        """Open the files."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the files."""

    def add(self, seen: Seen) -> None:
        """Write one shot."""


class JsonList:
    """A JSON list that is written entry by entry, so that its length costs no memory.

    Args:
        path: of the file.
        before: what stands before the list, for one that is inside an object.
    """

    def __init__(self, path: Path, before: str = "") -> None:
        self._stream = path.open("w", encoding="ascii")
        self._stream.write(f"{before}[")
        self._separator = "\n"

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append an entry, a line."""
        self._stream.write(self._separator + json.dumps(entry, allow_nan=False))
        self._separator = ",\n"

    def close(self, after: str = "") -> None:
        """End the list and, with what stands ``after`` it, the file."""
        with self._stream:
            self._stream.write(f"\n]{after}\n")


class DetectionsJson:
    """``detections.json``: a list with an entry for each picture or frame, in order.

    A picture's has ``picture`` (the path as it was found); a frame's has ``frame`` (0 for the first) and ``time_s``.
    Each has ``width`` and ``height`` in pixels, ``boxes``, best first, with ``class``, ``name``, ``score`` and ``xyxy``
    (the corners in pixels of the picture), ``against`` with the other model's boxes where there is one, and ``drawn``
    where a picture was drawn.

    Args:
        folder: of the results.
        names: class names by index, or none.
        rate: frames a second; None for pictures.
        drawn: where a picture's drawing is, with ``{}`` for its name; empty where none is.
    """

    def __init__(self, folder: Path, names: Sequence[str], rate: float | None, drawn: str = "") -> None:
        self._path = folder / DETECTIONS
        self._names, self._rate, self._drawn = names, rate, drawn

    def __enter__(self) -> "DetectionsJson":  # noqa: PYI034 - typing.Self came with Python 3.11
        self._list = JsonList(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._list.close()

    def add(self, seen: Seen) -> None:
        """Write one entry."""
        height, width = seen.shot.size
        boxes, *against = (described(each, self._names) for each in seen.found)
        entry = {**self._place(seen), "width": width, "height": height, "boxes": boxes}
        if against:
            entry["against"] = against[0]
        if self._drawn:
            entry["drawn"] = self._drawn.format(seen.shot.name)
        self._list.add(entry)

    def _place(self, seen: Seen) -> dict[str, Any]:
        if self._rate is None:
            return {"picture": str(seen.shot.source)}
        return {"frame": seen.shot.frame, "time_s": round(seen.shot.frame / self._rate, 3)}


def described(boxes: Boxes, names: Sequence[str]) -> list[dict[str, Any]]:
    """Turn boxes into plain data: corners to a hundredth of a pixel, scores to five digits."""
    return [
        {
            "class": label,
            "name": name_of(label, names),
            "score": round(score, 5),
            "xyxy": [round(x, 2) for x in corners],
        }
        for label, score, corners in zip(
            boxes.classes.tolist(), boxes.scores.tolist(), boxes.xyxy.tolist(), strict=True
        )
    ]


class Drawings:
    """``pictures/NAME.jpg`` for each picture."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> "Drawings":  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        """Each file was finished when it was written."""

    def add(self, seen: Seen) -> None:
        """Write one file."""
        path = self._folder / DRAWING.format(seen.shot.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seen.jpeg)


class YoloText:
    """``labels/NAME.txt`` for each picture or frame, a line a box: ``class cx cy width height confidence``.

    Centre and size are shares of the picture's width and height. A picture without boxes has an empty file, which is
    how YOLO marks background. Without the last column these are labels to train with.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / LABELS

    def __enter__(self) -> "YoloText":  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        """Each file was finished when it was written."""

    def add(self, seen: Seen) -> None:
        """Write one file."""
        path = self._folder / f"{seen.shot.name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yolo_lines(seen.found[0], seen.shot.size), encoding="ascii")


def yolo_lines(boxes: Boxes, size: tuple[int, int]) -> str:
    """Turn boxes into YOLO's lines.

    Args:
        boxes: in pixels.
        size: (height, width) of the picture in pixels.
    """
    height, width = size
    lines = []
    for label, score, (left, top, right, bottom) in zip(
        boxes.classes.tolist(), boxes.scores.tolist(), boxes.xyxy.tolist(), strict=True
    ):
        shares = (
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        )
        lines.append(" ".join([str(label), *(f"{share:.6f}" for share in shares), f"{score:.5f}"]))
    return "".join(f"{line}\n" for line in lines)


@frozen
class _Open:
    results: JsonList
    images: JsonList


class CocoResults:
    """``coco-results.json``, COCO's result format: a list of image_id, category_id, bbox (x, y, w, h) and score.

    ``coco-images.json`` beside it says which picture and which class each id is, as COCO's ``images`` and
    ``categories``. Without a ground truth's ids, pictures count from 1 in their order and classes from 1 in the
    model's; with them, both are looked up there by file name and by class name, so that pycocotools' ``loadRes``
    takes the results as they are. Boxes of a class that it does not have are left out, and a warning tells so.

    Args:
        folder: of the results.
        ids: what the ids are.
    """

    def __init__(self, folder: Path, ids: CocoIds) -> None:
        self._folder, self._ids = folder, ids
        self._labels = {*range(len(ids.categories))}

    def __enter__(self) -> "CocoResults":  # noqa: PYI034 - typing.Self came with Python 3.11
        self._open = _Open(JsonList(self._folder / COCO_RESULTS), JsonList(self._folder / COCO_IMAGES, '{"images": '))
        return self

    def __exit__(self, *_: object) -> None:
        categories = {label: self._ids.category(label) for label in sorted(self._labels)}
        told = [{"id": each[0], "name": each[1]} for each in categories.values() if each]
        self._open.results.close()
        self._open.images.close(f', "categories": {json.dumps(told)}}}')
        if unknown := [label for label, each in categories.items() if not each]:
            progress.warn(
                f"the ground truth of --coco-ids has no category for {len(unknown)} of the model's classes, as "
                f"number {unknown[0]}: their boxes are not in {COCO_RESULTS}",
                "leave --coco-ids out to have them all",
            )

    def add(self, seen: Seen) -> None:
        """Write a picture's id and its boxes."""
        height, width = seen.shot.size
        image = self._ids.image(seen.shot)
        self._open.images.add(
            {"id": image, "file_name": self._ids.file_name(seen.shot), "width": width, "height": height}
        )
        for box in described(seen.found[0], ()):
            left, top, right, bottom = box["xyxy"]
            place = [left, top, round(right - left, 2), round(bottom - top, 2)]
            self._labels.add(box["class"])
            if category := self._ids.category(box["class"]):
                entry = {"image_id": image, "category_id": category[0], "bbox": place, "score": box["score"]}
                self._open.results.add(entry)
