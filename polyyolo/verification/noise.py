"""How far a model's raw outputs are from another's, as a signal-to-noise ratio."""

import math
from collections.abc import Mapping

import numpy as np

from polyyolo.records import ModelSpec, TensorSpec
from polyyolo.verification.boxes import Array

LIMIT_DB = 200.0
"""What equal outputs get: JSON has no infinity, and float32 ends near 150 dB. Its negative is for NaN and overflow."""


class Noise:
    """The power of one model's outputs and of the other's error, summed in float64 batch by batch.

    Args:
        pairs: output of the reference -> output of the candidate.
    """

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = dict(pairs)
        self._sums = dict.fromkeys(pairs, (0.0, 0.0))

    def add(self, reference: Mapping[str, Array], candidate: Mapping[str, Array]) -> None:
        """Add a batch; arrays of a pair have equal shapes."""
        for name, other in self._pairs.items():
            signal, noise = self._sums[name]
            self._sums[name] = (
                signal + _power(reference[name]),
                noise + _power(np.subtract(candidate[other], reference[name], dtype=np.float64)),
            )

    def decibels(self) -> dict[str, float]:
        """Reference output -> 10 log10(signal power / error power), within +-200 dB."""
        return {name: _ratio(signal, noise) for name, (signal, noise) in self._sums.items()}


def _power(values: Array) -> float:
    flat = np.asarray(values, np.float64).ravel()
    return float(flat @ flat)


def _ratio(signal: float, noise: float) -> float:
    if noise == 0:
        return LIMIT_DB
    if signal == 0 or not math.isfinite(signal + noise):
        return -LIMIT_DB
    return max(-LIMIT_DB, min(LIMIT_DB, 10 * math.log10(signal / noise)))


def pair_outputs(reference: ModelSpec, candidate: ModelSpec) -> dict[str, str]:
    """Pair outputs by name, and those that are left by order, wherever the shapes can be equal.

    Returns:
        Output of the reference -> output of the candidate; outputs without a partner are left out.
    """
    theirs = {tensor.name: tensor for tensor in candidate.outputs}
    pairs = {
        tensor.name: tensor.name
        for tensor in reference.outputs
        if tensor.name in theirs and _fits(tensor, theirs[tensor.name])
    }
    left = [tensor for tensor in reference.outputs if tensor.name not in pairs]
    free = [tensor for tensor in candidate.outputs if tensor.name not in pairs.values()]
    by_order = {one.name: other.name for one, other in zip(left, free, strict=False) if _fits(one, other)}
    return {**pairs, **by_order}


def _fits(first: TensorSpec, second: TensorSpec) -> bool:
    """Whether two outputs can have equal shapes; the batch may differ, it is only how many pictures go in at once."""
    if len(first.dims) != len(second.dims):
        return False
    both = zip(first.dims[1:], second.dims[1:], strict=True)
    return all(one == other or isinstance(one, str) or isinstance(other, str) for one, other in both)
