"""The scales of weights: one for each output channel, from the weights alone.

One scale for all channels of a convolution costs 5 points of box agreement and more (docs/benchmarks/corrections.md),
so that there is no such method.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from polyyolo.calibration import thresholds
from polyyolo.calibration.statistics import histogram
from polyyolo.calibration.thresholds import LEVELS
from polyyolo.errors import InputError
from polyyolo.quantization.grid import Scales, half_scale

DEFAULT = "max"
SHARES = np.linspace(0.3, 1.0, 71)
"""Of a channel's largest magnitude: the clips that ``mse`` tries."""

Rows = NDArray[np.float64]
Clip = Callable[[Rows], Rows]
"""From the weights of each output channel, (O, K), to the magnitude at which each channel is clipped, (O,)."""


def clip_of(method: str) -> Clip:
    """Find the function for a method's name: max, mse, entropy, or percentile-P with 50 < P <= 100.

    Raises:
        InputError: no such method.
    """
    share = thresholds.share_of(method)
    if share is not None:
        return partial(percentile, share=share)
    if method not in _NAMED:
        raise InputError(
            f"there is no method {method!r} for weights",
            fix=f"use one of {', '.join(_NAMED)}, or percentile-P with 50 < P <= 100",
        )
    return _NAMED[method]


def clipped_scales(weight: NDArray[np.floating], axis: int, clip: Clip) -> Scales:
    """Give one scale for each channel along ``axis``: its clip over 127, rounded up to what FP16 holds."""
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1).astype(np.float64)
    return half_scale(clip(rows) / LEVELS)


def largest(rows: Rows) -> Rows:
    """Clip nothing."""
    return np.asarray(np.abs(rows).max(axis=1))


def percentile(rows: Rows, share: float) -> Rows:
    """Give the magnitude that ``share`` (0 to 1) of a channel's weights do not exceed."""
    return np.asarray(np.quantile(np.abs(rows), share, axis=1, method="inverted_cdf"))


def mse(rows: Rows) -> Rows:
    """Give the clip with the least squared error of rounding and clipping, of 71 between 30 percent and all."""
    clips = largest(rows) * SHARES[:, None]
    return np.asarray(clips[np.argmin([_error(rows, each) for each in clips], axis=0), np.arange(len(rows))])


def entropy(rows: Rows) -> Rows:
    """Give the clip by the calibration method of that name.

    A channel has too few weights for a distribution of its own. So all channels, each over its largest magnitude, make
    one, and are clipped at the same share.
    """
    tops = largest(rows)
    return tops * thresholds.entropy(histogram(rows / np.maximum(tops, np.finfo(np.float32).tiny)[:, None]))


def _error(rows: Rows, clips: Rows) -> Rows:
    steps = np.maximum(clips, np.finfo(np.float32).tiny)[:, None] / LEVELS
    levels = np.clip(np.round(rows / steps), -LEVELS, LEVELS)
    return np.asarray(((levels * steps - rows) ** 2).sum(axis=1))


_NAMED: dict[str, Clip] = {"max": largest, "mse": mse, "entropy": entropy}
