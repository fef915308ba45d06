"""How far a model's raw outputs are from another's, as a signal-to-noise ratio."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from polyyolo.records import ModelSpec, TensorSpec
from polyyolo.verification.boxes import Array

LIMIT_DB = 200.0
"""What equal outputs get: JSON has no infinity, and float32 ends near 150 dB. Its negative is for NaN and overflow."""


def powers(
    pairs: Mapping[str, str], reference: Mapping[str, Array], candidate: Mapping[str, Array], count: int
) -> Array:
    """Measure each picture of a batch by itself, so that figures do not depend on where a run was interrupted.

    Args:
        pairs: output of the reference -> output of the candidate; arrays of a pair have equal ranks.
        reference: one model's outputs for the batch.
        candidate: the other's.
        count: pictures of the batch; outputs lie in their order.

    Returns:
        (``count``, pairs, 2) float64: power of the reference's output and of the candidate's error.
    """
    found = np.zeros((count, len(pairs), 2))
    for place, (name, other) in enumerate(pairs.items()):
        error = difference(candidate[other], reference[name])
        for which, values in enumerate((reference[name], error)):
            found[:, place, which] = [_power(part) for part in np.array_split(np.ravel(values), count)]
    return found


def difference(first: Array, second: Array) -> Array:
    """Subtract two outputs of equal rank; where one is longer, as after NMS in the model, the other has zeros there.

    Returns:
        float64, of the longer one's length along each axis.
    """
    if first.shape == second.shape:
        with np.errstate(invalid="ignore"):  # infinite in both: no number, as the ratio says
            return np.subtract(first, second, dtype=np.float64)
    found = np.zeros(np.maximum(first.shape, second.shape))
    found[tuple(map(slice, first.shape))] = first
    found[tuple(map(slice, second.shape))] -= second
    return found


def noise(pairs: Mapping[str, str], found: Iterable[Array]) -> dict[str, Any]:
    """Sum the powers of all pictures.

    Args:
        pairs: as for ``powers``.
        found: (pairs, 2) of each picture.

    Returns:
        The fields of ``Fidelity`` that tell of raw outputs: ``signal_to_noise_db``, reference output -> 10 log10(signal
        power / error power), within +-200 dB; ``not_finite``, the outputs with NaN or infinity in either model.
    """
    sums = dict(zip(pairs, sum(found, np.zeros((len(pairs), 2))), strict=True))
    return {
        "signal_to_noise_db": {name: _ratio(*each.tolist()) for name, each in sums.items()},
        "not_finite": tuple(name for name, each in sums.items() if not np.isfinite(each).all()),
    }


def _power(values: Array) -> float:
    flat = np.asarray(values, np.float64)
    return float(flat @ flat)


def _ratio(signal: float, noise: float) -> float:
    if noise == 0:
        return LIMIT_DB
    if signal == 0 or not math.isfinite(signal + noise):
        return -LIMIT_DB
    return max(-LIMIT_DB, min(LIMIT_DB, 10 * math.log10(signal / noise)))


def pair_outputs(reference: ModelSpec, candidate: ModelSpec) -> dict[str, str]:
    """Pair outputs by name, and those that are left by order, wherever the shapes can be equal.

    Those of another family's head only where the shapes are known to be.

    Returns:
        Output of the reference -> output of the candidate; outputs without a partner are left out.
    """
    theirs = {tensor.name: tensor for tensor in candidate.outputs}
    open_fits = reference.head.kind is candidate.head.kind
    pairs = {
        tensor.name: tensor.name
        for tensor in reference.outputs
        if tensor.name in theirs and _fits(tensor, theirs[tensor.name], open_fits=open_fits)
    }
    left = [tensor for tensor in reference.outputs if tensor.name not in pairs]
    free = [tensor for tensor in candidate.outputs if tensor.name not in pairs.values()]
    both = zip(left, free, strict=False)
    by_order = {one.name: other.name for one, other in both if _fits(one, other, open_fits=open_fits)}
    return {**pairs, **by_order}


def _fits(first: TensorSpec, second: TensorSpec, *, open_fits: bool) -> bool:
    """Whether two outputs can have equal shapes; the batch may differ, it is only how many pictures go in at once.

    Args:
        first: one of them.
        second: the other.
        open_fits: whether an open axis may be as long as any other.
    """
    if len(first.dims) != len(second.dims):
        return False
    both = zip(first.dims[1:], second.dims[1:], strict=True)
    return all(one == other or (open_fits and str in {type(one), type(other)}) for one, other in both)
