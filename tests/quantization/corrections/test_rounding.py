"""Rounding that makes up for its errors: less is lost at the output than by rounding each weight to the nearest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.quantization.corrections.rounding import compensated, factor_of
from polyyolo.quantization.insertion import weight_scales


def correlated(count, width, seed=0):
    """Patches whose numbers go together, as those of neighbouring pixels do."""
    common = np.random.default_rng(99).normal(0, 1, (max(width // 8, 1), width))
    generator = np.random.default_rng(seed)
    mixed = generator.normal(0, 1, (count, len(common))) @ common
    return mixed + 0.1 * generator.normal(0, 1, (count, width)) + 0.5


def lost(rows, levels, scales, patches):
    return float((((levels * scales[:, None] - rows) @ patches.T) ** 2).sum())


def nearest(rows, scales):
    return np.round(rows / scales[:, None])


@pytest.mark.parametrize("width", [9, 128, 300])
def test_on_inputs_that_go_together_it_loses_a_fraction_of_the_nearest(width):
    rows = np.random.default_rng(1).normal(0, 1, (16, width))
    scales, patches = weight_scales(rows, 0), correlated(4000, width)

    levels = compensated(rows, scales, factor_of(patches.T @ patches))

    others = correlated(500, width, seed=1)
    assert lost(rows, levels, scales, others) < 0.5 * lost(rows, nearest(rows, scales), scales, others)


def test_on_inputs_of_their_own_it_is_the_nearest():
    rows = np.random.default_rng(1).normal(0, 1, (4, 20))
    scales = weight_scales(rows, 0)

    levels = compensated(rows, scales, factor_of(np.diag(np.arange(1.0, 21))))

    np.testing.assert_array_equal(levels, nearest(rows, scales))


def test_what_is_never_read_is_the_nearest_and_disturbs_nothing():
    rows = np.random.default_rng(1).normal(0, 1, (4, 20))
    patches = correlated(500, 20)
    patches[:, 7] = 0
    scales = weight_scales(rows, 0)
    rest = np.delete(np.arange(20), 7)

    levels = compensated(rows, scales, factor_of(patches.T @ patches))
    kept = compensated(rows[:, rest], scales, factor_of((patches.T @ patches)[np.ix_(rest, rest)] * 20 / 19))

    np.testing.assert_array_equal(levels[:, 7], nearest(rows, scales)[:, 7])
    assert (levels[:, rest] == kept).mean() > 0.9


def test_inputs_of_nothing_but_zeros_have_no_factor():
    assert factor_of(np.zeros((5, 5))) is None


def test_fewer_patches_than_numbers_in_them_suffice():
    rows = np.random.default_rng(1).normal(0, 1, (4, 200))
    scales, patches = weight_scales(rows, 0), correlated(50, 200)

    levels = compensated(rows, scales, factor_of((patches.T @ patches).astype(np.float32)))

    assert lost(rows, levels, scales, patches) < 0.5 * lost(rows, nearest(rows, scales), scales, patches)


@pytest.mark.parametrize("width", [3, 128, 129, 400])
def test_the_factor_is_that_of_the_damped_inverse(width):
    patches = correlated(1000, width)
    gram = patches.T @ patches

    factor = factor_of(gram)

    damped = gram + 0.01 * np.diag(gram).mean() * np.eye(width)
    ordered = damped[np.ix_(factor.order, factor.order)]
    assert (np.diff(np.diag(ordered)) <= 0).all()
    np.testing.assert_allclose(factor.upper, np.triu(factor.upper), atol=1e-15)
    np.testing.assert_allclose(factor.upper.T @ factor.upper @ ordered, np.eye(width), atol=1e-8)


@given(st.integers(0, 99), st.floats(0.2, 1))
def test_no_level_is_beyond_what_symmetric_int8_holds(seed, clip):
    generator = np.random.default_rng(seed)
    rows, patches = generator.normal(0, 1, (3, 12)), correlated(40, 12, seed)
    scales = (weight_scales(rows, 0) * clip).astype(np.float32)

    levels = compensated(rows, scales, factor_of(patches.T @ patches))

    assert levels.dtype == np.int8
    assert np.abs(levels.astype(int)).max() <= 127
