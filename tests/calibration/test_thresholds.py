"""From a histogram to the clip: answers that are known, and the error that INT8 really makes."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from polyyolo.calibration.statistics import Histogram, histogram, magnitudes
from polyyolo.calibration.thresholds import DEFAULT, ERROR_POWER, LEVELS, METHODS, _even, percentile, threshold
from polyyolo.errors import InputError


def seeded(seed=0):
    return np.random.default_rng(seed)


NORMAL = seeded().normal(0, 3, 130_000)
SILU = NORMAL / (1 + np.exp(-NORMAL))
HEAVY = seeded().standard_t(3, 130_000)
UNIFORM = seeded().uniform(-5, 5, 130_000)
OUTLIER = np.append(NORMAL, 60.0)
SAMPLES = {"normal": NORMAL, "SiLU": SILU, "heavy-tailed": HEAVY, "uniform": UNIFORM, "one outlier": OUTLIER}


def clip_of(method, values):
    return threshold(method)(histogram(np.asarray(values, np.float32)))


def error_of(values, clip):
    """Mean of |error| to the power that ``mse`` uses, when ``values`` are really rounded to INT8."""
    values = values.astype(np.float64)
    scale = clip / LEVELS
    restored = np.clip(np.round(values / scale), -LEVELS, LEVELS) * scale
    return np.mean(np.abs(restored - values) ** ERROR_POWER)


@pytest.mark.parametrize("name", SAMPLES)
def test_max_clips_nothing(name):
    assert clip_of("max", SAMPLES[name]) == np.abs(SAMPLES[name]).max().astype(np.float32)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("percent", [60, 99, 99.9, 99.99, 99.999])
def test_a_percentile_is_numpys_to_the_width_of_a_bin(name, percent):
    exact = np.percentile(np.abs(SAMPLES[name]), percent, method="inverted_cdf")

    assert clip_of(f"percentile-{percent}", SAMPLES[name]) == pytest.approx(exact, rel=0.008)


@given(arrays(np.float32, st.integers(1, 200), elements=st.floats(-1e6, 1e6, width=32)), st.floats(0.5, 1.0))
def test_a_percentile_never_exceeds_the_largest_value_and_grows_with_its_share(values, share):
    found = histogram(values)

    assert 0 <= percentile(found, 0.5) <= percentile(found, share) <= percentile(found, 1.0) <= found.largest


@pytest.mark.parametrize("name", SAMPLES)
def test_mse_makes_hardly_more_error_than_the_best_clip_of_all(name):
    values = SAMPLES[name].astype(np.float32)
    clips = np.abs(values).max() * np.linspace(0.05, 1.0, 96)
    least = min(error_of(values, clip) for clip in clips)

    assert error_of(values, clip_of("mse", values)) <= 1.02 * least


def binned_error(found, clip):
    """What ``mse`` makes as small as it can: told by the bins, rounded exactly where they are narrow."""
    bins = np.flatnonzero(found.counts)
    values, counts = np.minimum(magnitudes()[bins], found.largest), found.counts[bins]
    step = clip / LEVELS
    rounded = np.abs(values - step * np.round(values / step))
    spread = np.full_like(values, step / 2 * (ERROR_POWER + 1) ** (-1 / ERROR_POWER))
    kept = np.where(values < min(clip, 64 * step), rounded, spread)
    return float(counts @ np.where(values < clip, kept, values - clip) ** ERROR_POWER)


@given(arrays(np.float32, st.integers(2, 200), elements=st.floats(-1e4, 1e4, width=32)))
def test_mse_finds_the_best_of_its_clips_though_it_does_not_try_all(values):
    found = histogram(values)
    assume(found.largest > 0)
    clips = found.largest * np.geomspace(0.03, 1.0, 160)

    chosen = threshold("mse")(found)

    assert binned_error(found, chosen) <= min(binned_error(found, clip) for clip in clips) * (1 + 1e-12)


def test_mse_of_even_values_clips_nothing():
    assert clip_of("mse", UNIFORM) == pytest.approx(5.0, rel=0.03)


def test_mse_cuts_an_outlier_that_would_cost_all_others_their_resolution():
    assert clip_of("mse", OUTLIER) < 0.85 * 60


def test_mse_keeps_rare_large_values_that_are_no_outlier():
    """The objects of a picture make large values that are rare; entropy cuts them."""
    values = np.append(seeded().exponential(1, 100_000), seeded(1).uniform(8, 16, 500))

    assert clip_of("mse", values) > 12


@pytest.mark.parametrize("name", ["SiLU", "heavy-tailed", "one outlier"])
def test_entropy_cuts_the_tail(name):
    values = SAMPLES[name]

    assert 1.5 * values.std() < clip_of("entropy", values) < 0.95 * clip_of("max", values)


def divergence(even, stop):
    """What ``entropy`` makes as small as it can, of one clip: told by the bins."""
    level = np.arange(stop) * 128 // stop
    filled = even[:stop] > 0
    sums, bins = (np.bincount(level, weights=each, minlength=128) for each in (even[:stop], filled))
    candidate = np.where(filled, sums[level] / np.maximum(bins[level], 1), 0)
    reference = np.append(even[: stop - 1], even[stop - 1 :].sum())
    if not filled.any():
        return np.inf
    p, q = reference[filled] / reference.sum(), candidate[filled] / candidate.sum()
    return (p * np.log(p / q)).sum() + 20 * reference[~filled].sum() / reference.sum()


def divergence_by_stop(found):
    even = _even(found, 2048)
    even[0] = 0
    return {stop / 2048: divergence(even, stop) for stop in range(128, 2049, 16)}


@pytest.mark.parametrize("name", SAMPLES)
def test_entropy_chooses_the_clip_that_diverges_least_when_each_is_told_by_itself(name):
    found = histogram(SAMPLES[name].astype(np.float32))
    told = divergence_by_stop(found)

    assert threshold("entropy")(found) == found.largest * min(told, key=told.get)


@given(arrays(np.float32, st.integers(2, 200), elements=st.floats(-1e4, 1e4, width=32)))
def test_entropy_finds_the_least_divergence_of_few_values_too(values):
    """Of few values several clips diverge least: any of them will do."""
    found = histogram(values)
    assume(found.largest > 0)
    told = divergence_by_stop(found)

    chosen = threshold("entropy")(found)

    assert told[round(chosen / found.largest * 2048) / 2048] <= min(told.values()) + 1e-12


def test_entropy_of_a_tensor_whose_values_were_not_counted_gives_a_range():
    """Of a large tensor only a part is counted: it can be nothing but zeros."""
    values = np.zeros(1 << 20, np.float32)
    values[1] = 5

    assert 0 < clip_of("entropy", values) <= 5


def test_entropy_of_even_values_clips_hardly_anything():
    assert clip_of("entropy", UNIFORM) > 4.5


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_zeros_has_no_range(method):
    assert clip_of(method, np.zeros(100)) == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [1.0, -3.7, 1e-20, 1e20])
def test_a_single_value_is_kept(method, value):
    assert clip_of(method, np.full(100, value)) == pytest.approx(abs(value), rel=0.02)


@pytest.mark.parametrize("method", METHODS)
@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(-1e4, 1e4, width=32)))
def test_every_method_gives_a_range_within_what_was_seen(method, values):
    found = histogram(values)

    clip = threshold(method)(found)

    assert np.isfinite(clip)
    assert 0 <= clip <= found.largest * (1 + 1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_ranges_scale_with_the_values(method):
    assert clip_of(method, 64 * NORMAL) == pytest.approx(64 * clip_of(method, NORMAL), rel=1e-6)


def test_the_default_is_one_of_the_methods():
    assert DEFAULT in METHODS


@pytest.mark.parametrize(
    "method", ["", "MAX", "minmax", "percentile", "percentile-", "percentile-50", "percentile-100.1", "percentile-nan"]
)
def test_an_unknown_method_is_refused_with_those_there_are(method):
    with pytest.raises(InputError, match="no calibration method") as refused:
        threshold(method)

    assert "mse, max, entropy" in refused.value.fix


@pytest.mark.parametrize("method", ["percentile-50.1", "percentile-100", "percentile-99.9999"])
def test_any_percentile_above_fifty_may_be_asked_for(method):
    assert threshold(method)(histogram(np.ones(4, np.float32))) == pytest.approx(1.0, rel=0.008)


def test_what_is_seen_decides_the_clip_and_not_the_background():
    background = histogram(np.random.default_rng(0).normal(0, 1, 100_000).astype(np.float32))
    objects = histogram(np.random.default_rng(1).normal(0, 20, 50_000).astype(np.float32))
    found = Histogram(background.counts + objects.counts, objects.largest, objects.counts)

    assert threshold("mse-seen")(found) == pytest.approx(threshold("mse")(objects), rel=0.01)
    assert threshold("mse-seen")(found) > threshold("mse")(found)


def test_where_too_little_is_seen_all_values_decide():
    found = histogram(np.random.default_rng(0).normal(0, 1, 100_000).astype(np.float32))
    few = Histogram(found.counts, found.largest, found.counts // 1000)

    assert threshold("mse-seen")(few) == threshold("mse")(found)
