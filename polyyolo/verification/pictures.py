"""Pictures of what two models found, side by side."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from polyyolo.files import replacing
from polyyolo.images.reading import Picture, read_picture
from polyyolo.verification.agreement import Pair, match
from polyyolo.verification.boxes import Array, Boxes

SIDE = 720
"""Longest side of each half in pixels; smaller pictures are enlarged to it, so that text stays readable."""

BAR, GAP, FONT = 36, 8, cv2.FONT_HERSHEY_SIMPLEX
Colour = tuple[int, int, int]
Tag = tuple[int, int, int, int]
"""Left, top, width and height of a patch with text."""
INK, PAPER, ALARM = (32, 32, 32), (255, 255, 255), (40, 40, 235)
PALETTE: tuple[Colour, ...] = (
    (235, 170, 60),
    (90, 200, 90),
    (60, 200, 235),
    (220, 120, 200),
    (200, 200, 80),
    (70, 150, 245),
    (180, 130, 255),
    (150, 210, 170),
)
"""BGR, light enough for dark text; red is left to boxes that only one model has."""


def write_pairs(
    pairs: Sequence[Pair], names: Sequence[str], folder: Path, *, titles: tuple[str, str] = ("FP32", "INT8")
) -> tuple[Path, ...]:
    """Draw each pair into a JPEG named after its picture and its place among the pairs.

    Args:
        pairs: in the order in which they should be shown.
        names: class names by index, or none.
        folder: made where it is missing.
        titles: of the left and the right half.

    Returns:
        The files, in the order of ``pairs``.

    Raises:
        PictureError: a picture cannot be read any more.
        InputError: the folder cannot be written to.
        ToolchainError: the disk is full.
    """
    written = [folder / f"{place:02}-{pair.picture.stem}.jpg" for place, pair in enumerate(pairs, 1)]
    for path, pair in zip(written, pairs, strict=True):
        _, jpeg = cv2.imencode(".jpg", draw_pair(pair, names, titles), [cv2.IMWRITE_JPEG_QUALITY, 88])
        with replacing(path) as temporary:
            temporary.write_bytes(jpeg.tobytes())
    return tuple(written)


def draw_pair(pair: Pair, names: Sequence[str], titles: tuple[str, str] = ("FP32", "INT8")) -> Picture:
    """Draw a picture twice, with both models' boxes; a box that only one of them has is red.

    Returns:
        (H, W, 3) uint8 BGR: the halves beside each other under their titles.

    Raises:
        PictureError: the picture cannot be read any more.
    """
    image = read_picture(pair.picture)
    scale = SIDE / max(image.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=method), np.uint8)
    matched = match(pair.reference, pair.candidate, 0.5)
    halves = [
        np.vstack([_title(title, boxes, both, resized.shape[1]), _drawn(resized, boxes, both, scale, names)])
        for title, boxes, both in zip(titles, (pair.reference, pair.candidate), matched, strict=True)
    ]
    gap = np.full((len(halves[0]), GAP, 3), PAPER, np.uint8)
    return np.hstack([halves[0], gap, halves[1]])


def _title(title: str, boxes: Boxes, matched: Array, width: int) -> Picture:
    """A dark bar with the model's title and how many of its boxes the other has too."""
    bar = np.full((BAR, width, 3), INK, np.uint8)
    cv2.putText(bar, title, (10, 25), FONT, 0.75, PAPER, 2, cv2.LINE_AA)
    alone = len(boxes) - len(matched)
    start = 10 + cv2.getTextSize(title, FONT, 0.75, 2)[0][0] + 14
    told = f"{len(boxes)} box{'' if len(boxes) == 1 else 'es'}" + (f", {alone} only here" if alone else "")
    cv2.putText(bar, told, (start, 24), FONT, 0.5, (205, 205, 205), 1, cv2.LINE_AA)
    return bar


def _drawn(image: Picture, boxes: Boxes, matched: Array, scale: float, names: Sequence[str]) -> Picture:
    """A copy of ``image`` with boxes: the strongest lie over the weaker, and those only here over all."""
    canvas: Picture = image.copy()
    alone = np.ones(len(boxes), bool)
    alone[matched] = False
    order = np.lexsort([boxes.scores, alone])
    corners = np.round(boxes.xyxy * scale).astype(int).tolist()
    colours = [
        ALARM if single else PALETTE[label % len(PALETTE)] for single, label in zip(alone, boxes.classes, strict=True)
    ]
    for index in order:
        left, top, right, bottom = corners[index]
        cv2.rectangle(canvas, (left, top), (right, bottom), colours[index], 3 if alone[index] else 2, cv2.LINE_AA)
    taken: list[Tag] = []
    for index in order[::-1]:
        label = int(boxes.classes[index])
        text = f"{names[label] if label < len(names) else label} {boxes.scores[index]:.2f}"
        place = _free_place(text, corners[index], canvas.shape[:2], taken)
        if place:
            taken.append(place)
            _write(canvas, text, place, colours[index])
    return canvas


def _free_place(text: str, box: Sequence[int], size: tuple[int, ...], taken: Sequence[Tag]) -> Tag | None:
    """Find room for a box's text above, inside or below it; None in a crowd, where it would only cover another."""
    (width, height), _ = cv2.getTextSize(text, FONT, 0.45, 1)
    width, height = width + 6, height + 7
    left = max(0, min(box[0] - 1, size[1] - width))
    places = [
        (left, max(0, min(top, size[0] - height)), width, height)
        for top in (box[1] - height, box[1], box[3] - height, box[3])
    ]
    return next((place for place in places if not any(_collide(place, other) for other in taken)), None)


def _collide(first: Tag, second: Tag) -> bool:
    return all(
        first[axis] < second[axis] + second[axis + 2] and second[axis] < first[axis] + first[axis + 2]
        for axis in (0, 1)
    )


def _write(canvas: Picture, text: str, place: Tag, colour: Colour) -> None:
    left, top, width, height = place
    cv2.rectangle(canvas, (left, top), (left + width, top + height), colour, cv2.FILLED)
    ink = PAPER if colour == ALARM else INK
    cv2.putText(canvas, text, (left + 3, top + height - 4), FONT, 0.45, ink, 1, cv2.LINE_AA)
