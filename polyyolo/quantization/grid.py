"""Which numbers the levels of INT8 stand for, as FP16 can hold them."""

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from polyyolo.calibration.thresholds import LEVELS

_HALF = np.finfo(np.float16)
SMALLEST_HALF = float(_HALF.smallest_normal)
"""The smallest scale of a model in FP16: below, FP16 is subnormal, and some devices flush it to zero."""
SMALLEST_SCALE = 2.0**-20
"""The smallest of all, which FP16 holds to a sixteenth. Weights that a picture from 0 to 255 is read with need it."""
NARROWEST = 0.75
"""Share of a range around zero that one from the lowest value up must be below, to be worth a shift."""

Scales = NDArray[np.float32]


@frozen(eq=False)
class Grid:
    """What a level of an activation's INT8 stands for: scale * level + middle.

    Attributes:
        scale: no axes.
        middle: 0 where INT8 is symmetric around 0, else what is taken off the values before Q; FP16 can hold it.
    """

    scale: Scales
    middle: float = 0.0


def grid_of(amax: float, lowest: float | None = None) -> Grid:
    """Spread the levels over a range.

    Args:
        amax: largest magnitude of the values, within what a scale in FP16 can hold.
        lowest: what no value is below, 0 or less; None where that is unknown, or zero must stay zero.

    Returns:
        From ``lowest`` to ``amax`` where that is much narrower, else around 0.
    """
    if lowest is not None and 0 < amax < float(_HALF.max) and (amax - lowest) / 2 < NARROWEST * amax:
        step = half_scale(np.array((amax - lowest) / 2 / LEVELS))
        return Grid(step, float(np.float16(LEVELS * float(step) + lowest)))
    return Grid(half_scale(np.array(amax / LEVELS)))


def half_scale(scale: NDArray[np.floating]) -> Scales:
    """Round scales up to the next number that FP16 can hold: nothing that fitted is clipped."""
    wanted = np.maximum(scale, SMALLEST_SCALE)
    with np.errstate(over="ignore"):  # whoever asks refuses infinity by the name of what reaches it
        near = wanted.astype(np.float16)
    up = np.where(near.astype(np.float64) < wanted, np.nextafter(near, np.float16(np.inf)), near)
    return np.asarray(up, np.float32)
