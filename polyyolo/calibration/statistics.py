"""Histograms of a model's activations, folded in batch by batch: one pass, flat memory.

A float32's upper 16 bits are its sign, its exponent and 7 bits of mantissa. Counting those gives a histogram whose
bins are 0.8 percent wide at every magnitude, so no range has to be known beforehand and two histograms add up
exactly. OpenCV counts 16-bit numbers faster than the model makes them (benchmarks/calibration_speed.py).
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any

import cv2
import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from polyyolo.calibration.watching import Watched, pieces
from polyyolo.errors import ModelError
from polyyolo.images.ahead import ahead
from polyyolo.progress import advance, step
from polyyolo.records import ModelSpec

BINS = 1 << 15
STEP = "calibrate"
_NO_SIGN = 0x7FFF
_INFINITE = 0x7F80  # upper half of float32 infinity: this bin and those above hold no number
# Values of one tensor and picture that are enough: counting a quarter of more moves the clips by 0.4 percent (median).
_PLENTY = 1 << 16
# Cells of one tensor and picture that are enough where something is seen.
_PLACES = 512

# Pictures in work at the same time. While one is counted, another is computed, and no core waits for the slowest part
# of one operator; a third would take another 200 MB (YOLOv5s at 640).
AT_ONCE = min(2, os.cpu_count() or 1)

Counts = NDArray[np.int64]
Look = Callable[[Mapping[str, NDArray[np.floating]]], Sequence[NDArray[np.floating]]]
"""From a batch of outputs to the (N, 4) boxes of each picture, corners in pixels of the model's input."""


def _empty() -> Counts:
    return np.zeros(BINS, np.int64)


@frozen(eq=False)
class Histogram:
    """How often each magnitude of one tensor occurred; at first none.

    Attributes:
        counts: (32768,) int64; bin k holds the magnitudes whose float32 begins with the 16 bits k.
        largest: the largest magnitude, exact, while of large tensors only a part is counted.
        seen: as ``counts``, of the values that lie where the model sees something; all 0 where that is unknown.
    """

    counts: Counts = field(factory=_empty)
    largest: float = 0.0
    seen: Counts = field(factory=_empty)

    def fold(self, other: "Histogram") -> "Histogram":
        """Give the sum with another histogram of the same tensor, in this one's memory: this one is used up.

        ``other`` may end before its empty bins.
        """
        for total, more in ((self.counts, other.counts), (self.seen, other.seen)):
            total[: len(more)] += more
        return evolve(self, largest=max(self.largest, other.largest))


def lower_edges() -> NDArray[np.float64]:
    """Give the least magnitude of each of the 32640 bins that hold numbers."""
    return (np.arange(_INFINITE, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)


@cache
def magnitudes() -> NDArray[np.float64]:
    """Give the middle of each of the 32768 bins; those of infinity and NaN are infinite. Read only."""
    edges = np.append(lower_edges(), 2.0**128)
    middle = np.full(BINS, np.inf)
    middle[:_INFINITE] = (edges[:-1] + edges[1:]) / 2
    middle[0] = 0.0  # zeros, and magnitudes below 1e-40
    middle.flags.writeable = False
    return middle


def histogram(values: NDArray[np.floating]) -> Histogram:
    """Count the magnitudes of an array of any shape; of a large one every second, fourth or eighth value.

    Raises:
        ModelError: it holds NaN or infinity.
    """
    return Histogram().fold(_counted(values, {}))


def _largest(flat: NDArray[np.float32]) -> float:
    """Give the largest magnitude of (1, N) values.

    Raises:
        ModelError: they hold NaN or infinity.
    """
    # Summed in float64, where float32 cannot overflow; OpenCV before 4.12 sums parts of it in float32.
    if not np.isfinite(cv2.sumElems(flat)[0]) and not np.isfinite(flat).all():
        raise ModelError(
            "the model's activations hold NaN or infinity",
            fix="check the model's weights and the pictures' preprocessing",
        )
    return float(cv2.norm(flat, cv2.NORM_INF))


def _upper_half(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """View the upper 16 bits of each value; the last axis must be contiguous."""
    return values.view(np.uint16)[..., 1::2]


def _count(upper: NDArray[np.uint16], largest: float) -> Counts:
    """Count values by the upper halves of their bits, without the sign.

    Bins above that of the ``largest`` magnitude stay empty and are left out: half of all, and to make and to add them
    would cost more than to count.
    """
    if not upper.size:
        return np.empty(0, np.int64)
    filled = (int(np.float32(largest).view(np.uint32)) >> 16) + 1
    bins = (upper & _NO_SIGN).reshape(1, -1)
    return cv2.calcHist([bins], [0], None, [filled], [0, filled]).ravel().astype(np.int64)


class _Totals:
    """Histograms of several tensors being added up. Threads may add at once: sums do not depend on the order."""

    def __init__(self) -> None:
        self._found: dict[str, Histogram] = defaultdict(Histogram)
        self._lock = Lock()

    def add(self, tensor: str, found: Histogram) -> None:
        """Fold in what was counted of one tensor."""
        with self._lock:
            self._found[tensor] = self._found[tensor].fold(found)

    def of(self, tensors: Sequence[str]) -> dict[str, Histogram]:
        """Give the sums in the order of ``tensors``; those that never came are missing."""
        return {name: self._found[name] for name in tensors if name in self._found}


def measure(
    spec: ModelSpec,
    tensors: Sequence[str],
    batches: Iterable[NDArray[np.generic]],
    total: int,
    *,
    look: Look | None = None,
) -> dict[str, Histogram]:
    """Run the model on every batch in ONNX Runtime and count the magnitudes of the tensors named.

    Ranges do not depend on the execution provider, so the CPU's does.

    Args:
        spec: the FP32 model.
        tensors: activations to observe.
        batches: (B, C, H, W) arrays that fit the model's image input.
        total: how many batches are promised.
        look: tells from the outputs where each picture of a batch holds something.

    Raises:
        ModelError: the model cannot be run, or gives NaN or infinity.
    """
    outputs = [output.name for output in spec.outputs] if look else []
    names = [name for name in dict.fromkeys((*tensors, *outputs)) if name != spec.image]
    watched, totals = Watched(spec, names, at_once=AT_ONCE), _Totals()

    def parts() -> Iterator[tuple[int, NDArray[np.generic]]]:
        for number, batch in enumerate(batches):
            yield from ((number, piece) for piece in pieces(spec, batch))
            advance(STEP)

    def fold(part: tuple[int, NDArray[np.generic]]) -> None:
        number, piece = part
        arrays: dict[str, NDArray[Any]] = {spec.image: piece, **watched.run(piece, number)}
        boxes = look({name: arrays[name] for name in outputs}) if look else ()
        maps = {arrays[name].shape[2:] for name in tensors if arrays[name].ndim == 4}
        places = {shape: [where(each, piece.shape[2:], shape) for each in boxes] for shape in maps}
        for name in tensors:
            totals.add(name, _counted(arrays[name], places))

    with step(STEP, total):
        for _ in ahead(fold, parts(), workers=AT_ONCE, window=AT_ONCE + 1):
            pass
    return totals.of(tensors)


def _counted(values: NDArray[np.floating], places: Mapping[tuple[int, ...], Sequence[NDArray[np.int64]]]) -> Histogram:
    """Count all values of a batch, and once more those at the places of each picture where something is seen.

    Args:
        values: (B, C, H, W), or of any other shape, which has no places.
        places: (H, W) -> flat indices, one array a picture.

    Returns:
        a histogram that ends with the bin of the largest magnitude.

    Raises:
        ModelError: they hold NaN or infinity.
    """
    flat = np.ascontiguousarray(values, np.float32).reshape(1, -1)
    largest = _largest(flat)
    stride = next((stride for stride in (8, 4, 2) if flat.size >= stride * _PLENTY), 1)
    counts = _count(_upper_half(flat)[:, : flat.size - flat.size % stride : stride], largest)
    return Histogram(counts, largest, _count(_seen(flat.reshape(values.shape), places), largest))


def _seen(
    values: NDArray[np.float32], places: Mapping[tuple[int, ...], Sequence[NDArray[np.int64]]]
) -> NDArray[np.uint16]:
    """Give the upper halves of the values of a batch at the places of each picture where something is seen."""
    there = places.get(values.shape[2:], ()) if values.ndim == 4 else ()
    if len(there) != len(values):
        return np.empty(0, np.uint16)
    cells = _upper_half(values.reshape(*values.shape[:2], -1))
    return np.concatenate([picture[:, place] for picture, place in zip(cells, there, strict=True)], axis=1)


def where(boxes: NDArray[np.floating], size: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Find the cells of a feature map that boxes cover, at most 512 of them, evenly chosen.

    Args:
        boxes: (N, 4) corners in pixels of the model's input.
        size: (height, width) of the input.
        shape: (height, width) of the map.

    Returns:
        flat indices, ascending.
    """
    covered = np.zeros(shape, bool)
    scale = np.array([shape[1] / size[1], shape[0] / size[0]] * 2)
    corners = np.clip(boxes * scale, 0, [shape[1], shape[0]] * 2)
    whole = np.hstack([np.floor(corners[:, :2]), np.ceil(corners[:, 2:])]).astype(int)
    for left, top, right, bottom in whole.tolist():
        covered[top:bottom, left:right] = True
    found = np.flatnonzero(covered)
    return found[:: -(-len(found) // _PLACES)] if len(found) else found
