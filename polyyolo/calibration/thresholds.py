"""From a histogram to the largest magnitude that INT8 should represent: everything above it is clipped."""

import re
from collections.abc import Callable

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from polyyolo.calibration.statistics import Histogram, lower_edges, magnitudes
from polyyolo.errors import InputError

LEVELS = 127
METHODS = ("mse-seen", "mse", "max", "entropy", "percentile-99.99", "percentile-99.999", "percentile-99.9995")
DEFAULT = "mse-seen"
AUTO = "auto"
"""Not a method of its own: the one that measures best on the pictures."""

# An error's weight grows with this power of its size. 2 is the squared error; 2.3 keeps a little more of the rare large
# values that carry the objects, and agreed better with FP32 on every model measured (docs/benchmarks/int8-accuracy.md).
ERROR_POWER = 2.3

ENOUGH_SEEN = 10_000
"""Values of a tensor where something is seen that are enough to choose a clip from them alone."""

_TINY = float(np.finfo(np.float64).tiny)

Magnitudes = NDArray[np.float64]
Threshold = Callable[[Histogram], float]


def threshold(method: str) -> Threshold:
    """Find the function for a method's name: max, mse, entropy, or percentile-P with 50 < P <= 100.

    Raises:
        InputError: no such method.
    """
    if method in _FIXED:
        return _FIXED[method]
    share = share_of(method)
    if share is not None:
        return lambda found: percentile(found, share)
    raise InputError(
        f"there is no calibration method {method!r}",
        fix=f"use one of {', '.join((AUTO, *METHODS))}, or percentile-P with 50 < P <= 100",
    )


def share_of(method: str) -> float | None:
    """Give the share (0.5 to 1) of values that percentile-P clips nothing of; None where a method is no such."""
    match = re.fullmatch(r"percentile-(\d+(?:\.\d+)?)", method)
    return float(match[1]) / 100 if match and 50 < float(match[1]) <= 100 else None


def largest(found: Histogram) -> float:
    """Clip nothing."""
    return found.largest


def percentile(found: Histogram, share: float) -> float:
    """Give the magnitude below which ``share`` (0 to 1) of all values lie, to the 0.8 percent of a bin."""
    total = found.counts.sum()
    above = np.searchsorted(np.cumsum(found.counts), share * total)
    return min(found.largest, float(magnitudes()[above]))


def mse(found: Histogram) -> float:
    """Give the clip with the least expected error between 3 percent of the largest magnitude and all of it.

    Below the clip the error is that of rounding to multiples of clip / 127; above it, the distance to the clip. A bin
    that is narrow against the rounding step is rounded exactly, a wide one has the mean over evenly spread values.
    """
    if found.largest == 0:
        return 0.0
    values, counts = _filled(found)
    best, least = found.largest, np.inf
    for clip in found.largest * np.geomspace(0.03, 1.0, 160)[::-1]:
        clipped = _clipped(values, counts, clip)
        if clipped > least:  # and more so with every smaller clip
            break
        error = _rounded(values, counts, clip) + clipped
        if error <= least:
            best, least = float(clip), error
    return best


def mse_seen(found: Histogram) -> float:
    """Give the clip with the least expected error on what lies where the model sees something.

    Background fills most of a picture and decides nothing; objects have the large values. Where too little was seen,
    all values count.
    """
    return mse(evolve(found, counts=found.seen) if found.seen.sum() >= ENOUGH_SEEN else found)


def _rounded(values: Magnitudes, counts: Magnitudes, clip: float) -> float:
    """Sum the errors of what is not clipped."""
    inner = np.searchsorted(values, clip)
    fine = np.searchsorted(values, min(clip, 64 * clip / LEVELS))  # a bin at x is x / 128 wide: half a step here
    rounding = clip / LEVELS
    narrow = np.abs(values[:fine] - rounding * np.round(values[:fine] / rounding)) ** ERROR_POWER
    wide = (rounding / 2) ** ERROR_POWER / (ERROR_POWER + 1)
    return float(counts[:fine] @ narrow + counts[fine:inner].sum() * wide)


def _clipped(values: Magnitudes, counts: Magnitudes, clip: float) -> float:
    """Sum the errors of what is clipped."""
    inner = np.searchsorted(values, clip)
    return float(counts[inner:] @ (values[inner:] - clip) ** ERROR_POWER)


def entropy(found: Histogram) -> float:
    """Give the clip whose 128-level distribution diverges least (Kullback-Leibler) from the clipped original.

    This is the rule behind TensorRT's entropy calibrator, on 2048 even bins: at each candidate the clipped tail is
    added to the last bin of the reference, and each level spreads its count over its non-empty bins.
    """
    if found.largest == 0:
        return 0.0
    even = _even(found, 2048)
    even[0] = 0  # zeros are exact at any scale
    stops = np.arange(128, len(even) + 1, 16)
    best = stops[np.argmin(_divergences(even / max(even.sum(), _TINY), stops))]
    return float(found.largest * best / len(even))


def _even(found: Histogram, bins: int) -> Magnitudes:
    """Spread the counts over evenly wide bins from 0 to the largest magnitude."""
    edges = lower_edges()
    below = np.concatenate([[0], np.cumsum(found.counts[: len(edges) - 1])])
    reached = np.interp(np.linspace(0, found.largest, bins + 1), edges, below)
    reached[-1] = found.counts.sum()
    return np.diff(reached)


def _divergences(shares: Magnitudes, stops: NDArray[np.int64]) -> Magnitudes:
    """Give the divergence of the clip before each stop.

    A candidate is even over the filled bins of a level. So the sum of p log(p / q) falls into that of p log(p) over
    bins, which all stops share but for their last bin, and that of p log(q) over levels.

    Args:
        shares: of all values, those in each of the even bins.
        stops: how many bins are not clipped, 128 or more.
    """
    edges = -(-np.arange(129) * stops[:, None] // 128)  # of each stop's levels: (S, 129)
    reference, filled = (
        np.add.reduceat(np.append(bins, 0.0), edges.ravel()).reshape(edges.shape)[:, :-1]
        for bins in (shares, shares > 0)
    )
    kept = reference.sum(axis=1)
    candidate = reference / np.maximum(filled * kept[:, None], _TINY)
    last, tail = shares[stops - 1], np.append(np.cumsum(shares[::-1])[::-1], 0.0)[stops]
    added = np.where(last > 0, tail, 0.0)
    reference[:, -1] += added
    own = np.cumsum(_times_log(shares, shares))[stops - 1] - _times_log(last, last)
    own += _times_log(last + added, last + added)
    lost = 20 * (tail - added)  # as if the candidate were e**-20 there
    divergences: Magnitudes = own - _times_log(reference, candidate).sum(axis=1) + lost
    divergences[kept == 0] = np.inf
    return divergences


def _times_log(factor: Magnitudes, values: Magnitudes) -> Magnitudes:
    """Multiply with the logarithm; what is 0 in both stays 0."""
    return factor * np.log(np.maximum(values, _TINY))


def _filled(found: Histogram) -> tuple[Magnitudes, Magnitudes]:
    """Give the magnitudes and counts of the bins that hold something, ascending."""
    bins = np.flatnonzero(found.counts)
    return np.minimum(magnitudes()[bins], found.largest), found.counts[bins].astype(np.float64)


_FIXED: dict[str, Threshold] = {"mse-seen": mse_seen, "mse": mse, "max": largest, "entropy": entropy}
