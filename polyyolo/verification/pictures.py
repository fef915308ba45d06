"""Pictures of what one model found, or two, side by side."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from polyyolo.files import fitting, replacing
from polyyolo.images.reading import Picture, read_picture
from polyyolo.records import SAME_OBJECT
from polyyolo.verification.agreement import Pair, match
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.drawing import ALARM, INK, PAPER, draw_boxes
from polyyolo.verification.lettering import write
from polyyolo.wording import counted

__all__ = ["ALARM", "BAR", "GAP", "SIDE", "draw_found", "draw_pair", "encode", "side_by_side", "write_pairs"]

SIDE = 720
"""Longest side of each half in pixels; smaller pictures are enlarged to it, so that text stays readable."""

LEAST = 320
"""Pictures whose longer side is shorter are enlarged by a whole number before boxes are drawn."""

BAR, GAP = 36, 8
QUALITY = 90
"""Of JPEGs, 0 to 100: above this lines and letters get no sharper."""


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
    written = [folder / fitting(f"{place:02}-{pair.picture.stem}", ".jpg") for place, pair in enumerate(pairs, 1)]
    for path, pair in zip(written, pairs, strict=True):
        with replacing(path) as temporary:
            temporary.write_bytes(encode(draw_pair(pair, names, titles)))
    return tuple(written)


def encode(image: Picture) -> bytes:
    """Turn a picture into the bytes of a JPEG."""
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return jpeg.tobytes()


def draw_pair(pair: Pair, names: Sequence[str], titles: tuple[str, str] = ("FP32", "INT8")) -> Picture:
    """Draw a picture twice, with both models' boxes; a box that only one of them has is red.

    Returns:
        (H, W, 3) uint8 BGR: the halves beside each other under their titles.

    Raises:
        PictureError: the picture cannot be read any more.
    """
    return side_by_side(read_picture(pair.picture), (pair.reference, pair.candidate), names, titles)


def draw_found(image: Picture, boxes: Boxes, names: Sequence[str]) -> Picture:
    """Draw what one model found on one picture, in the picture's size; one below 320 pixels is enlarged.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: in pixels of ``image``.
        names: class names by index, or none.
    """
    factor = math.ceil(LEAST / max(image.shape[:2]))
    return draw_boxes(*_scaled(image, boxes, factor), names)


def side_by_side(image: Picture, found: tuple[Boxes, Boxes], names: Sequence[str], titles: tuple[str, str]) -> Picture:
    """Draw what two models found on one picture.

    Args:
        image: (H, W, 3) uint8 BGR.
        found: boxes of the left and of the right half, in pixels of ``image``.
        names: class names by index, or none.
        titles: of the two halves.

    Returns:
        (H, W, 3) uint8 BGR: the halves beside each other under their titles, each 720 pixels along its longer side.
    """
    scale = SIDE / max(image.shape[:2])
    halves = []
    for title, boxes, both in zip(titles, found, match(*found, SAME_OBJECT), strict=True):
        alone = np.ones(len(boxes), bool)
        alone[both] = False
        drawn = draw_boxes(*_scaled(image, boxes, scale), names, alone)
        halves.append(np.vstack([_title(title, alone, drawn.shape[1]), drawn]))
    gap = np.full((len(halves[0]), GAP, 3), PAPER, np.uint8)
    return np.hstack([halves[0], gap, halves[1]])


def _scaled(image: Picture, boxes: Boxes, scale: float) -> tuple[Picture, Boxes]:
    if scale == 1:
        return image, boxes
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=method)
    return np.asarray(resized, np.uint8), Boxes(boxes.xyxy * scale, boxes.scores, boxes.classes)


def _title(title: str, alone: Array, width: int) -> Picture:
    """A dark bar with the model's title and how many of its boxes the other has too."""
    bar = np.full((BAR, width, 3), INK, np.uint8)
    end = write(bar, title, (10, 6), 20, PAPER)
    told = counted(len(alone), "box", "boxes") + (f", {alone.sum()} only here" if alone.any() else "")
    write(bar, told, (end + 14, 9), 15, (205, 205, 205))
    return bar
