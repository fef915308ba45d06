"""Read one picture from a file: whatever it holds, eight bits of blue, green and red come back.

How unusual files are read (OpenCV's ``IMREAD_COLOR``, each kept by a test): grey is repeated in three channels, an
alpha channel is dropped without blending, sixteen bits keep their upper eight, CMYK is turned into BGR, and a JPEG's
EXIF orientation is applied, as the training pipelines of YOLOv5 and its successors do.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from polyyolo.errors import PictureError
from polyyolo.files import refuse_endless
from polyyolo.images.headers import declared_size, is_cut_short, is_turned

Picture = npt.NDArray[np.uint8]

SMALLEST_SIDE = 10  # pixels; below this there is nothing that a detector could find
LARGEST_ASPECT = 50
LARGEST_AREA = 200_000_000  # pixels; 600 MB once decoded


def read_picture(path: Path) -> Picture:
    """Read a picture file of any format that OpenCV knows.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        PictureError: no such file, not a picture, cut short, or absurd in size or shape; the message ends in the
        reason.
    """
    try:
        return decode(read_bytes(path))
    except PictureError as error:
        raise PictureError(f"cannot use {path}: {error.message}", fix=error.fix) from error


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        PictureError: it cannot be opened.
    """
    try:
        refuse_endless(path)
        return path.read_bytes()
    except OSError as error:
        raise PictureError(
            error.strerror or str(error), fix="name a picture file that exists and may be read"
        ) from error


def decode(data: bytes) -> Picture:
    """Decode the bytes of a picture file.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        PictureError: not a picture, cut short (decoders then fill the rest with grey and say nothing), or absurd.
    """
    fix = "remove the file or fetch it again"
    if not data:
        raise PictureError("the file is empty", fix=fix)
    if is_cut_short(data):
        raise PictureError("the JPEG is cut short: its end marker is missing", fix=fix)
    if is_turned(data):
        raise PictureError(
            "an AVIF that is to be turned or mirrored, which OpenCV does not do", fix="convert it to JPEG or PNG"
        )
    if declared := declared_size(data):
        refuse_absurd(*declared)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise PictureError(f"OpenCV cannot decode it ({error.err})", fix=fix) from error
    if image is None:
        raise PictureError("no picture, or of a format that OpenCV cannot decode", fix=fix)
    height, width = image.shape[:2]
    refuse_absurd(height, width)
    return np.asarray(image, np.uint8)


def refuse_absurd(height: int, width: int) -> None:
    """Refuse sizes that no detector was made for.

    Raises:
        PictureError: a side below 10 pixels, longer than 50 times the other, or more than 200 megapixels.
    """
    short, long = sorted((height, width))
    if short < SMALLEST_SIDE:
        raise PictureError(
            f"{width}x{height} pixels: a side is shorter than {SMALLEST_SIDE}", fix="leave such pictures out"
        )
    if long > LARGEST_ASPECT * short:
        raise PictureError(
            f"{width}x{height} pixels: one side is {long // short} times the other, more than {LARGEST_ASPECT}",
            fix="leave such pictures out, or cut them into tiles",
        )
    if height * width > LARGEST_AREA:
        raise PictureError(
            f"{width}x{height} pixels: more than {LARGEST_AREA // 1_000_000} megapixels", fix="cut it into tiles"
        )
