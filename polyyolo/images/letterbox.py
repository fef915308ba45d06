"""A picture becomes the tensor that a model wants, and boxes find their way back."""

import cv2
import numpy as np
import numpy.typing as npt
from attrs import frozen

from polyyolo.images.reading import Picture
from polyyolo.records import Preprocessing

Boxes = npt.NDArray[np.float32]
Tensor = npt.NDArray[np.generic]


@frozen
class Fit:
    """Where a picture lies inside the tensor made from it.

    Attributes:
        source: (height, width) of the picture in pixels.
        scale: (vertical, horizontal) tensor pixels a picture pixel, before the new size was rounded.
        offset: (top, left) of the picture inside the tensor, in tensor pixels.
    """

    source: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[int, int]

    def to_source(self, boxes: npt.NDArray[np.floating]) -> Boxes:
        """Map boxes from tensor to picture pixels and clip them to the picture.

        Args:
            boxes: (N, 4) x1, y1, x2, y2 in tensor pixels.

        Returns:
            (N, 4) float32 x1, y1, x2, y2 in picture pixels.
        """
        (top, left), (down, across), (height, width) = self.offset, self.scale, self.source
        moved = (np.asarray(boxes, np.float64).reshape(-1, 4) - (left, top, left, top)) / (across, down, across, down)
        return np.clip(moved, 0, (width, height, width, height)).astype(np.float32)


def to_tensor(image: Picture, preprocessing: Preprocessing) -> tuple[Tensor, Fit]:
    """Turn a picture into what the model sees.

    Args:
        image: (H, W, 3) uint8, BGR.
        preprocessing: size, fit, pad, colour order, scale, mean, std and dtype.

    Returns:
        (C, height, width) contiguous, of ``preprocessing.dtype``, one channel for "grey" and else three; and where
        the picture lies in it.
    """
    fitted, fit = fit_inside(image, preprocessing)
    return normalise(to_channels(fitted, preprocessing.colour), preprocessing), fit


def fit_inside(image: Picture, preprocessing: Preprocessing) -> tuple[Picture, Fit]:
    """Scale a picture to ``preprocessing.size``, with padding or stretched.

    Letterbox follows YOLOv5 without its auto stride: one factor for both axes, enlarging allowed, the new size
    rounded, bilinear, the padding halved and rounded at -0.1 and +0.1 so that an odd pixel goes to the bottom and the
    right. Boxes are mapped back with that one factor, not with the rounded size: labels were scaled so in training, and
    yolov8n gains 0.0014 mAP50-95 on coco128-val by it. Top left follows YOLOX, which cuts fractions of the new size.

    Returns:
        (height, width, 3) uint8 BGR, and where the picture lies in it.
    """
    height, width = preprocessing.size
    rows, columns = image.shape[:2]
    scale = (height / rows, width / columns)
    if preprocessing.pads:
        scale = (min(scale), min(scale))
    cornered = preprocessing.fit == "top-left"
    whole = int if cornered else round
    new_rows, new_columns = max(1, whole(rows * scale[0])), max(1, whole(columns * scale[1]))
    share = 0.0 if cornered else 0.5
    top, left = round((height - new_rows) * share - 0.1), round((width - new_columns) * share - 0.1)
    fit = Fit((rows, columns), scale, (top, left))
    if (new_rows, new_columns) != (rows, columns):
        image = np.asarray(cv2.resize(image, (new_columns, new_rows), interpolation=cv2.INTER_LINEAR), np.uint8)
    if (new_rows, new_columns) == (height, width):
        return image, fit
    canvas = np.full((height, width, 3), preprocessing.pad, np.uint8)
    canvas[top : top + new_rows, left : left + new_columns] = image
    return canvas, fit


def to_channels(image: Picture, colour: str) -> Picture:
    """Bring (H, W, 3) BGR into (C, H, W) of the model's order; "grey" is OpenCV's 0.299 R + 0.587 G + 0.114 B."""
    if colour == "grey":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8).reshape(1, *image.shape[:2])
    ordered = image[..., ::-1] if colour == "rgb" else image
    return np.asarray(ordered.transpose(2, 0, 1), np.uint8)


def normalise(pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> Tensor:
    """Compute (pixels * scale - mean) / std in float32 and cast to the tensor's dtype.

    Args:
        pixels: (..., C, H, W) uint8 in the model's channel order.
        preprocessing: whose scale, mean, std and dtype are used; a single channel uses the first of mean and std.
    """
    if preprocessing.dtype == "uint8":  # such models scale inside; presets refuse any scale but 1 for them
        return np.ascontiguousarray(pixels)
    values = np.ascontiguousarray(pixels, np.float32)
    values *= np.float32(preprocessing.scale)
    if any(preprocessing.mean):
        values -= per_channel(preprocessing.mean, values.shape[-3])
    if any(spread != 1 for spread in preprocessing.std):
        values /= per_channel(preprocessing.std, values.shape[-3])
    return values.astype(preprocessing.dtype, copy=False)


def per_channel(values: tuple[float, ...], channels: int) -> npt.NDArray[np.float32]:
    """Shape mean or std so that it broadcasts over (..., C, H, W)."""
    return np.asarray(values[:channels], np.float32).reshape(-1, 1, 1)
