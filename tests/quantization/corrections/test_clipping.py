"""Where weights are clipped: each output channel for itself, from the weights alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from polyyolo.errors import InputError
from polyyolo.quantization.corrections.clipping import clip_of, clipped_scales
from polyyolo.quantization.insertion import weight_scales

METHODS = ("max", "mse", "entropy", "percentile-99")


def error(weight, scale):
    return float(((np.clip(np.round(weight / scale), -127, 127) * scale - weight) ** 2).sum())


def test_max_reaches_the_largest_weight_of_each_channel():
    weight = np.array([[1.0, -127.0], [0.5, 0.25]]).reshape(2, 2, 1, 1)

    scales = clipped_scales(weight, 0, clip_of("max"))

    assert scales[0] == 1.0
    assert 0.5 / 127 <= scales[1] < 0.5 / 127 * (1 + 2**-10)
    np.testing.assert_array_equal(scales, weight_scales(weight, 0))


def test_a_percentile_leaves_out_its_share_of_each_channel():
    weight = np.stack([np.arange(1, 101), 10 * np.arange(1, 101)]).astype(float)

    assert clip_of("percentile-90")(weight).tolist() == [90, 900]
    assert clip_of("percentile-100")(weight).tolist() == [100, 1000]


def test_mse_clips_what_is_far_out_when_that_costs_less_than_it_saves():
    many = np.linspace(-1, 1, 100_000)
    once, often = np.append(many, 4.0)[None], np.append(many, [4.0] * 100)[None]

    assert clip_of("mse")(once)[0] == pytest.approx(2.68)
    assert clip_of("mse")(often)[0] == pytest.approx(4.0, abs=0.05)


@given(arrays(np.float64, (3, 40), elements=st.floats(-10, 10, width=32)))
def test_mse_is_never_further_off_than_max(weight):
    best, widest = clip_of("mse")(weight), clip_of("max")(weight)

    for row, clip, top in zip(weight, best, widest, strict=True):
        if top > 1e-30:
            assert error(row, clip / 127) <= error(row, top / 127)


def test_entropy_clips_all_channels_at_one_share_of_their_largest():
    weight = np.random.default_rng(0).normal(0, 1, (16, 20_000))
    weight[:, 0] = 10
    weight *= np.geomspace(0.01, 100, 16)[:, None]

    shares = clip_of("entropy")(weight) / np.abs(weight).max(axis=1)

    np.testing.assert_allclose(shares, 0.46, atol=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_a_channel_of_zeros_has_a_scale_nevertheless(method):
    weight = np.random.default_rng(0).normal(0, 1, (2, 4, 3, 3))
    weight[1] = 0

    scales = clipped_scales(weight, 0, clip_of(method))

    assert (scales > 0).all()
    assert scales[1] < scales[0] / 50


@pytest.mark.parametrize("axis", [0, 1])
def test_scales_follow_the_axis_of_the_outputs(axis):
    weight = np.moveaxis(np.full((4, 2, 3, 3), 1.27) * np.array([1, 2, 4, 8]).reshape(4, 1, 1, 1), 0, axis)

    np.testing.assert_allclose(clipped_scales(weight, axis, clip_of("max")), [0.01, 0.02, 0.04, 0.08], rtol=2**-10)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("mse-seen", "no method 'mse-seen' for weights"),
        ("least-squares", "no method 'least-squares' for weights"),
        ("percentile-40", "'percentile-40'"),
        ("percentile-50", "there is no method 'percentile-50' for weights"),
        ("percentile-nan", "'percentile-nan'"),
        ("percentile-many", "'percentile-many'"),
        ("", "no method '' for weights"),
    ],
)
def test_an_unknown_method_is_refused_with_those_there_are(method, message):
    with pytest.raises(InputError, match=message) as error:
        clip_of(method)

    assert "percentile-P with 50 < P <= 100" in error.value.fix
