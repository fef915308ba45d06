"""A contact sheet of what the model will really see: a wrong colour order or fit shows before an hour of building."""

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from polyyolo import files
from polyyolo.images.letterbox import Tensor
from polyyolo.images.lint import expected_range
from polyyolo.images.reading import Picture
from polyyolo.images.stream import chosen_tensors
from polyyolo.records import CalibrationSet, Preprocessing

TILES = 48
COLUMNS = 8
TILE = 200  # pixels, of a tile's longer side
CAPTION = 18  # pixels
NARROWEST = 400  # pixels, so that the heading has room
INK, PAPER = (40, 40, 40), 255


def contact_sheet(chosen: CalibrationSet, output: Path) -> None:
    """Draw the first 48 chosen pictures as tensors, with padding and in the model's channel order.

    The first channel is drawn as red whatever ``colour`` says: for an RGB model people look like people, and a BGR
    order looks as blue as it is.

    Args:
        chosen: what will be calibrated with.
        output: PNG file to write, whole or not at all.

    Raises:
        PictureError: a picture cannot be used any more.
    """
    stream = chosen_tensors(chosen)
    with closing(stream):
        drawn = [tile(tensor, caption, chosen.preprocessing) for tensor, caption in _captioned(chosen, stream)]
    columns = min(COLUMNS, max(len(drawn), math.ceil(NARROWEST / drawn[0].shape[1])))
    drawn += [np.full_like(drawn[0], PAPER)] * (-len(drawn) % columns)
    rows = [np.hstack(drawn[start : start + columns]) for start in range(0, len(drawn), columns)]
    sheet = np.vstack([_line(heading(chosen), rows[0].shape[1]), *rows])
    _, png = cv2.imencode(".png", sheet)
    with files.replacing(output) as temporary:
        temporary.write_bytes(png.tobytes())


def heading(chosen: CalibrationSet) -> str:
    """Say in one line what every tile went through."""
    how = chosen.preprocessing
    low, high = expected_range(how)
    fit = f"{how.fit} {how.pad}" if how.pads else how.fit
    height, width = how.size
    return f"{width} wide, {height} high, {fit}, {how.colour}, {low:.4g}..{high:.4g} {how.dtype}"


def tile(tensor: Tensor, caption: str, preprocessing: Preprocessing) -> Picture:
    """Draw one tensor with its caption below.

    Args:
        tensor: (C, H, W) as the model takes it.
        caption: usually the file's name.
        preprocessing: what made it.

    Returns:
        (h, w, 3) uint8 BGR.
    """
    pixels = to_pixels(tensor, preprocessing)
    height, width = pixels.shape[:2]
    factor = TILE / max(height, width)
    side = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(pixels, side, interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(small, 2, 0, 2, 2, cv2.BORDER_CONSTANT, value=(PAPER, PAPER, PAPER))
    return np.asarray(np.vstack([framed, _line(caption, framed.shape[1])]), np.uint8)


def to_pixels(tensor: Tensor, preprocessing: Preprocessing) -> Picture:
    """Undo scale, mean and std, and draw the first channel as red.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    channels = tensor.shape[0]
    mean = np.asarray(preprocessing.mean[:channels], np.float32).reshape(-1, 1, 1)
    std = np.asarray(preprocessing.std[:channels], np.float32).reshape(-1, 1, 1)
    levels = (tensor.astype(np.float32) * std + mean) / np.float32(preprocessing.scale)
    shown = np.clip(np.rint(levels), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(np.repeat(shown, 3, axis=2) if channels == 1 else shown[..., ::-1])


def _captioned(chosen: CalibrationSet, stream: Generator[Tensor, None, None]) -> Iterator[tuple[Tensor, str]]:
    names = [f"entry {index}" for index in chosen.indices] or [path.name for path in chosen.sources]
    return zip(islice(stream, TILES), names, strict=False)


def _line(text: str, width: int) -> npt.NDArray[np.uint8]:
    """Write one line of text on paper, cut at ``width`` pixels; OpenCV's font has no letters beyond ASCII."""
    line = np.full((CAPTION, width, 3), PAPER, np.uint8)
    ascii_text = text.encode("ascii", "replace").decode()
    cv2.putText(line, ascii_text, (3, CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    return line
