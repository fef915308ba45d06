"""Histograms of a model's activations, folded in batch by batch: one pass, flat memory.

A float32's upper 16 bits are its sign, its exponent and 7 bits of mantissa. Counting those gives a histogram whose
bins are 0.8 percent wide at every magnitude, so no range has to be known beforehand and two histograms add up
exactly. OpenCV counts 16-bit numbers faster than the model makes them (benchmarks/calibration_speed.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cv2
import numpy as np
import onnx
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from polyyolo.errors import ModelError
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load
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

Counts = NDArray[np.int64]
Look = Callable[[Mapping[str, NDArray[np.floating]]], Sequence[NDArray[np.floating]]]
"""From a batch of outputs to the (N, 4) boxes of each picture, corners in pixels of the model's input."""


@frozen(eq=False)
class Histogram:
    """How often each magnitude of one tensor occurred.

    Attributes:
        counts: (32768,) int64; bin k holds the magnitudes whose float32 begins with the 16 bits k.
        largest: the largest magnitude, exact, while of large tensors only a part is counted.
        seen: as ``counts``, of the values that lie where the model sees something; all 0 where that is unknown.
    """

    counts: Counts
    largest: float
    seen: Counts = field(factory=lambda: np.zeros(BINS, np.int64))

    def __add__(self, other: "Histogram") -> "Histogram":
        """Fold two histograms of the same tensor into one."""
        return Histogram(self.counts + other.counts, max(self.largest, other.largest), self.seen + other.seen)


def lower_edges() -> NDArray[np.float64]:
    """Give the least magnitude of each of the 32640 bins that hold numbers."""
    return (np.arange(_INFINITE, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)


def magnitudes() -> NDArray[np.float64]:
    """Give the middle of each of the 32768 bins; those of infinity and NaN are infinite."""
    edges = np.append(lower_edges(), 2.0**128)
    middle = np.full(BINS, np.inf)
    middle[:_INFINITE] = (edges[:-1] + edges[1:]) / 2
    middle[0] = 0.0  # zeros, and magnitudes below 1e-40
    return middle


def histogram(values: NDArray[np.floating]) -> Histogram:
    """Count the magnitudes of an array of any shape; of a large one every second, fourth or eighth value.

    Raises:
        ModelError: it holds NaN or infinity.
    """
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(1, -1)
    stride = next((stride for stride in (8, 4, 2) if flat.size >= stride * _PLENTY), 1)
    counts = _count(flat[:, : flat.size - flat.size % stride], stride)
    if not np.isfinite(cv2.sumElems(flat)[0]):  # summed in float64, where float32 cannot overflow
        raise ModelError(
            "the model's activations hold NaN or infinity",
            fix="check the model's weights and the pictures' preprocessing",
        )
    return Histogram(counts, float(cv2.norm(flat, cv2.NORM_INF)))


def _count(values: NDArray[np.float32], stride: int = 1) -> Counts:
    """Count every ``stride``-th of contiguous values by the upper half of its bits, without the sign."""
    if not values.size:
        return np.zeros(BINS, np.int64)
    # As 16-bit numbers, channel 1 of each group is the upper half of its first value.
    upper = np.asarray(cv2.extractChannel(values.view(np.uint16).reshape(1, -1, 2 * stride), 1), np.uint16)
    return cv2.calcHist([upper & _NO_SIGN], [0], None, [BINS], [0, BINS]).astype(np.int64).ravel()


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
    watched = Watched(spec, [name for name in dict.fromkeys((*tensors, *outputs)) if name != spec.image])
    totals: dict[str, Histogram] = {}
    with ThreadPoolExecutor() as pool, step(STEP, total):
        for number, batch in enumerate(batches):
            for piece in pieces(spec, batch):
                arrays: dict[str, NDArray[Any]] = {spec.image: piece, **watched.run(piece, number)}
                boxes = look({name: arrays[name] for name in outputs}) if look else ()
                maps = {arrays[name].shape[2:] for name in tensors if arrays[name].ndim == 4}
                places = {shape: [where(each, piece.shape[2:], shape) for each in boxes] for shape in maps}
                count = partial(_counted, places=places)
                for name, found in zip(tensors, pool.map(count, [arrays[name] for name in tensors]), strict=True):
                    totals[name] = totals[name] + found if name in totals else found
            advance(STEP)
    return totals


def _counted(values: NDArray[np.floating], places: Mapping[tuple[int, ...], Sequence[NDArray[np.int64]]]) -> Histogram:
    """Count all values of a batch, and once more those at the places of each picture where something is seen.

    Args:
        values: (B, C, H, W), or of any other shape, which has no places.
        places: (H, W) -> flat indices, one array a picture.
    """
    found = histogram(values)
    there = places.get(values.shape[2:], ()) if values.ndim == 4 else ()
    if len(there) != len(values):
        return found
    seen = [
        picture.reshape(len(picture), -1).take(place, axis=1).astype(np.float32, copy=False).ravel()
        for picture, place in zip(values, there, strict=True)
    ]
    return evolve(found, seen=_count(np.concatenate(seen)))


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
    for left, top, right, bottom in zip(*np.floor(corners[:, :2].T), *np.ceil(corners[:, 2:].T), strict=True):
        covered[int(top) : int(bottom), int(left) : int(right)] = True
    found = np.flatnonzero(covered)
    return found[:: -(-len(found) // _PLACES)] if len(found) else found


class Watched:
    """A model whose activations come out as well, always into the same memory.

    ONNX Runtime would allocate 100 MB anew for each picture, and touching fresh memory costs as much as the inference.
    """

    def __init__(self, spec: ModelSpec, tensors: Sequence[str]) -> None:
        model = load(spec.path)
        present = {output.name for output in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in present)
        self._image = spec.image
        self._tensors = list(tensors)
        self._session = open_session(model.SerializeToString())
        self._memory: dict[str, NDArray[np.floating]] = {}
        self._shape: tuple[int, ...] = ()

    def run(self, batch: NDArray[np.generic], number: int) -> Mapping[str, NDArray[np.floating]]:
        """Run one batch.

        Returns:
            tensor name -> its values, overwritten by the next run.

        Raises:
            ModelError: ONNX Runtime refuses the batch or fails in the model.
        """
        if not self._tensors:
            return {}
        try:
            if batch.shape == self._shape:
                self._refill(batch)
            else:
                self._memory = dict(
                    zip(self._tensors, self._session.run(self._tensors, {self._image: batch}), strict=True)
                )
                self._shape = batch.shape
        except Exception as error:  # ONNX Runtime's errors have no common ancestor of their own
            raise ModelError(
                f"ONNX Runtime cannot run the model on batch {number} of shape {batch.shape}: {error}",
                fix="look at the model with: polyyolo inspect model",
            ) from error
        return self._memory

    def _refill(self, batch: NDArray[np.generic]) -> None:
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._image, batch)
        for name, array in self._memory.items():
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)


def pieces(spec: ModelSpec, batch: NDArray[np.generic]) -> Iterable[NDArray[np.generic]]:
    """Cut a batch into single pictures where the model allows it: memory then does not grow with the batch."""
    if isinstance(spec.image_input.dims[0], int):
        return [batch]
    return [batch[index : index + 1] for index in range(len(batch))]
