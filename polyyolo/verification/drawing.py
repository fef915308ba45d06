"""Boxes with class names and scores on a picture: the one way in which polyyolo draws them."""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from attrs import frozen

from polyyolo.images.reading import Picture
from polyyolo.verification import lettering
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.lettering import Colour

Tag = tuple[int, int, int, int]
"""Left, top, width and height in pixels of a patch with text."""

INK, PAPER, ALARM = (32, 32, 32), (255, 255, 255), (40, 40, 235)
GOLDEN = (5**0.5 - 1) / 2
SHADES = ((0.62, 0.85), (0.72, 0.75))
"""Lightness and saturation, in turn."""
LUMA, LEAST_LUMA = np.array([0.114, 0.587, 0.299]), 150.0
"""Brightness of blue, green and red (ITU-R BT.601), and the least that dark text needs below it."""
MARGIN = 3
"""Pixels on each side of a tag's text."""


@frozen
class Style:
    """How thick and how large things are drawn.

    Attributes:
        line: width of a box's line in pixels.
        letters: size of the font in pixels.
    """

    line: int
    letters: int


def style_for(height: int, width: int) -> Style:
    """Choose a style that looks alike on pictures of any size: 2 and 13 pixels at 640x480, 5 and 27 at 1920x1080."""
    side = (height * width) ** 0.5
    return Style(line=max(1, round(side / 290)), letters=max(10, round(4 + side / 62)))


def colour_of(label: int) -> Colour:
    """Give a class its colour: always the same, light enough for dark text, neighbours far apart.

    Hues go round by the golden ratio and leave out the reds, which are for boxes that only one model has.
    """
    hue = 0.06 + 0.84 * ((0.45 + label * GOLDEN) % 1)
    colour = 255 * np.array(colorsys.hls_to_rgb(hue, *SHADES[label % len(SHADES)]))[::-1]
    luma = float(colour @ LUMA)
    lifted = colour + (255 - colour) * max(0.0, (LEAST_LUMA - luma) / (255 - luma))
    blue, green, red = map(round, lifted.tolist())
    return blue, green, red


def draw_boxes(image: Picture, boxes: Boxes, names: Sequence[str], alone: Array | None = None) -> Picture:
    """Draw boxes: the stronger lie over the weaker, and those that only one model has, in red, over all.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: in pixels of ``image``.
        names: class names by index, or none.
        alone: (N,) bool, which boxes only this model has.

    Returns:
        A copy of ``image`` with a line round each box and its name and score where there is room for them.
    """
    canvas: Picture = image.copy()
    style = style_for(*image.shape[:2])
    marked = np.zeros(len(boxes), bool) if alone is None else alone
    order = np.lexsort([boxes.scores, marked])
    corners = np.round(boxes.xyxy).astype(int).tolist()
    colours = [ALARM if red else colour_of(int(label)) for red, label in zip(marked, boxes.classes, strict=True)]
    for index in order:
        _outline(canvas, corners[index], colours[index], style.line + int(marked[index]))
    taken: list[Tag] = []
    for index in order[::-1]:
        text = f"{name_of(int(boxes.classes[index]), names)} {boxes.scores[index]:.2f}"
        place = _free_place(lettering.size_of(text, style.letters), corners[index], canvas.shape[:2], taken)
        if place:
            taken.append(place)
            _write(canvas, text, place, style.letters, colours[index])
    return canvas


def name_of(label: int, names: Sequence[str]) -> str:
    """Give a class its name, or its number where the model has no name for it."""
    return names[label] if label < len(names) else str(label)


def _outline(canvas: Picture, box: Sequence[int], colour: Colour, line: int) -> None:
    """Draw a box over a darker, wider one, so that it shows on any ground."""
    (left, top), (right, bottom) = box[:2], box[2:]
    cv2.rectangle(canvas, (left, top), (right, bottom), INK, line + 2, cv2.LINE_AA)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, line, cv2.LINE_AA)


def _free_place(size: tuple[int, int], box: Sequence[int], within: tuple[int, ...], taken: Sequence[Tag]) -> Tag | None:
    """Find room for a box's text above, inside or below it; None in a crowd, where it would only cover another."""
    width, height = size[0] + 2 * MARGIN, size[1]
    left = max(0, min(box[0] - 1, within[1] - width))
    places = [
        (left, max(0, min(top, within[0] - height)), width, height)
        for top in (box[1] - height, box[1], box[3] - height, box[3])
    ]
    return next((place for place in places if not any(_collide(place, other) for other in taken)), None)


def _collide(first: Tag, second: Tag) -> bool:
    return all(
        first[axis] < second[axis] + second[axis + 2] and second[axis] < first[axis] + first[axis + 2]
        for axis in (0, 1)
    )


def _write(canvas: Picture, text: str, place: Tag, letters: int, colour: Colour) -> None:
    left, top, width, height = place
    cv2.rectangle(canvas, (left, top), (left + width - 1, top + height - 1), colour, cv2.FILLED)
    lettering.write(canvas, text, (left + MARGIN, top), letters, PAPER if colour == ALARM else INK)
