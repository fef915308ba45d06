"""Rounding of weights in which what follows makes up for what was rounded before.

Rounded to the nearest, each weight is off by itself. What counts is the error of the convolution's output: of a row of
weights w rounded to q it is (w - q) H (w - q)^T, where H sums p p^T over the patches p that the convolution reads. So
weights are rounded one after the other, and those still to come take the change that makes up for the error best. That
is optimal brain surgery for rounding, in the order and with the factor that GPTQ takes (https://arxiv.org/abs/2210.17323).
"""

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from polyyolo.calibration.thresholds import LEVELS
from polyyolo.quantization.grid import Scales

DAMPING = 0.01
"""Share of H's mean diagonal that is added to the diagonal: few patches would leave some directions free."""
BLOCK = 128
"""Columns after which those still to come are brought up to date: one large product is faster than many small ones."""

Array = NDArray[np.float64]


@frozen(eq=False)
class Factor:
    """How errors are handed on.

    Attributes:
        order: of the columns, those with the largest inputs first: many can still make up for what they lose.
        upper: (K, K), upper triangle; its transpose times itself is the inverse of the damped H in that order.
    """

    order: NDArray[np.int64]
    upper: Array


def factor_of(gram: NDArray[np.floating]) -> Factor | None:
    """Factor the products of patches, (K, K); None where all inputs are 0, so that any rounding will do."""
    diagonal = np.diag(gram).astype(np.float64)
    if not diagonal.any():
        return None
    order = np.argsort(-diagonal, kind="stable")
    damped = gram[np.ix_(order[::-1], order[::-1])].astype(np.float64)
    damped[np.diag_indices_from(damped)] += DAMPING * diagonal.mean()
    # Read from the last row and column to the first, a lower Cholesky factor is an upper one, whose inverse this is.
    lower: Array = np.linalg.cholesky(damped).astype(np.float64, copy=False)
    return Factor(order, _inverse(lower[::-1, ::-1]))


def _inverse(upper: Array) -> Array:
    """Invert an upper triangular matrix, halves first: a third of the work of one that knows of no triangle."""
    if len(upper) <= BLOCK:
        return np.asarray(np.linalg.inv(upper), np.float64)
    half = len(upper) // 2
    found = np.zeros_like(upper)
    found[:half, :half] = _inverse(upper[:half, :half])
    found[half:, half:] = _inverse(upper[half:, half:])
    found[:half, half:] = -found[:half, :half] @ upper[:half, half:] @ found[half:, half:]
    return found


def compensated(rows: Array, scales: Scales, factor: Factor) -> NDArray[np.int8]:
    """Round each row of weights to multiples of its scale, with the least error of the output.

    Args:
        rows: (O, K).
        scales: (O,).
        factor: of the patches that these weights are multiplied with.

    Returns:
        (O, K) integers from -127 to 127.
    """
    left = rows[:, factor.order].astype(np.float64)
    steps, upper = scales.astype(np.float64), factor.upper
    levels = np.empty(left.shape, np.int8)
    for start in range(0, left.shape[1], BLOCK):
        block = slice(start, min(start + BLOCK, left.shape[1]))
        levels[:, block], errors = _block(left[:, block], steps, upper[block, block])
        left[:, block.stop :] -= errors @ upper[block, block.stop :]
    found = np.empty_like(levels)
    found[:, factor.order] = levels
    return found


def _block(left: Array, steps: Array, upper: Array) -> tuple[NDArray[np.int8], Array]:
    """Round some columns; ``left`` is used up.

    Returns:
        the integers, and each weight's error over the factor's diagonal.
    """
    levels, errors = np.empty(left.shape, np.int8), np.empty(left.shape)
    for column in range(left.shape[1]):
        rounded = np.clip(np.round(left[:, column] / steps), -LEVELS, LEVELS)
        levels[:, column] = rounded
        errors[:, column] = (left[:, column] - rounded * steps) / upper[column, column]
        left[:, column + 1 :] -= np.outer(errors[:, column], upper[column, column + 1 :])
    return levels, errors
