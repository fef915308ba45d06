"""What convolutions read, summed up: the mean patch, and the products of each two of its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from polyyolo.calibration.statistics import Look, where
from polyyolo.calibration.watching import Watched, pieces
from polyyolo.images.stream import batches
from polyyolo.progress import advance
from polyyolo.quantization.corrections.windows import Window
from polyyolo.records import CalibrationSet, ModelSpec

STEP = "correct"
PATCHES = 4096
"""Of each window, over all pictures: half of them anywhere, half where the model sees something.

Twice as many divide the weights' share of YOLOv8n's output errors by 4.5 instead of 4.3, half as many by 4.0 (mean over
nine convolutions, on other pictures).
"""

Array = NDArray[np.floating]


@frozen(eq=False)
class Moments:
    """Of the patches p of one window.

    Attributes:
        count: how many.
        total: their sum, (K,).
        gram: the sum of p p^T, (K, K) float32; None where only the mean is wanted.
    """

    count: int
    total: Array
    gram: NDArray[np.float32] | None

    @property
    def mean(self) -> Array:
        """The mean patch, (K,)."""
        return self.total / self.count


def measure(
    spec: ModelSpec, windows: Mapping[Window, bool], chosen: CalibrationSet, look: Look | None
) -> dict[Window, Moments]:
    """Run the FP32 model on the pictures and sum up what the windows see.

    Args:
        spec: the FP32 model.
        windows: each with whether its products are wanted, which take K * K numbers.
        chosen: the pictures; each gives the same patches in every run.
        look: tells from the model's outputs where each picture of a batch holds something.

    Raises:
        ModelError: the model cannot be run.
    """
    outputs = [output.name for output in spec.outputs] if look else []
    wanted = dict.fromkeys((*(window.tensor for window in windows), *outputs))
    watched = Watched(spec, [name for name in wanted if name != spec.image])
    share = -(-PATCHES // (chosen.batches * chosen.batch))
    found: dict[Window, Moments] = {}
    for number, batch in enumerate(batches(chosen)):
        for part, piece in enumerate(pieces(spec, batch)):
            arrays: dict[str, NDArray[Any]] = {spec.image: piece, **watched.run(piece, number)}
            seen = look({name: arrays[name] for name in outputs}) if look else [np.empty((0, 4))] * len(piece)
            for index, (window, whole) in enumerate(windows.items()):
                generator = np.random.default_rng((number, part, index))
                patches = _sampled(window, arrays[window.tensor], (seen, piece.shape[2:], share), generator)
                found[window] = _added(found.get(window), patches, whole=whole)
        advance(STEP)
    return found


def _sampled(
    window: Window,
    values: Array,
    sight: tuple[Sequence[Array], tuple[int, ...], int],
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Cut patches out of each picture of a batch.

    Args:
        window: what is cut out.
        values: (B, C, H, W).
        sight: (N, 4) boxes of each picture, the (height, width) of the model's input, and how many patches of each.
        generator: chooses among the places.
    """
    boxes, size, count = sight
    shape = window.shape(*values.shape[2:])
    found = []
    for picture, theirs in zip(values, boxes, strict=True):
        covered = where(theirs, size, shape)
        anywhere = generator.integers(0, shape[0] * shape[1], count - (count // 2 if len(covered) else 0))
        there = generator.choice(covered, count // 2) if len(covered) else covered
        found.append(window.patches(picture, np.concatenate([anywhere, there])))
    return np.concatenate(found)


def _added(before: Moments | None, patches: NDArray[np.float32], *, whole: bool) -> Moments:
    """Add patches to a sum, in place where its products are: they are the most memory by far."""
    total = patches.sum(axis=0, dtype=np.float64)
    gram = patches.T @ patches if whole else None
    if before is None:
        return Moments(len(patches), total, gram)
    if before.gram is not None and gram is not None:
        gram = np.add(before.gram, gram, out=before.gram)
    return Moments(before.count + len(patches), before.total + total, gram)
