"""The shape and the size of pictures that a model takes by itself."""

import re

from polyyolo.records import ModelSpec

USUAL_SIZE = (640, 640)
"""Height and width in pixels where neither the model nor anybody else tells."""
LARGEST_SIDE = 16384
"""Pixels of a side that anybody may ask for; a picture of so many squared is 3 GiB in FP32."""


def own_shape(spec: ModelSpec) -> tuple[int, ...]:
    """Give the (N, C, H, W) that a model takes: what it fixes, else what its exporter left as ``imgsz``, else 640.

    An open batch is 1, an open number of channels 3.
    """
    usual = (1, 3, *_exported_size(spec))
    return tuple(
        dim if isinstance(dim, int) else guess for dim, guess in zip(spec.image_input.dims, usual, strict=True)
    )


def own_size(spec: ModelSpec) -> tuple[int, int]:
    """Give the height and width of ``own_shape``, in pixels."""
    _, _, height, width = own_shape(spec)
    return height, width


def _exported_size(spec: ModelSpec) -> tuple[int, ...]:
    """Read ``imgsz`` as Ultralytics writes it, "[height, width]" or one number for both."""
    sizes = tuple(int(digits) for digits in re.findall(r"\d+", spec.metadata.get("imgsz", "")))
    return {1: sizes * 2, 2: sizes}.get(len(sizes), USUAL_SIZE)
