"""Signal-to-noise is power against error power, output by output."""

from pathlib import Path

import numpy as np
import pytest

from polyyolo.records import Head, HeadKind, ModelSpec, TensorSpec
from polyyolo.verification.noise import Noise, pair_outputs


def spec(*outputs):
    tensors = tuple(TensorSpec(name, "float32", dims) for name, dims in outputs)
    image = TensorSpec("images", "float32", (1, 3, 64, 64))
    return ModelSpec(Path("m.onnx"), "0" * 64, 17, (image,), tensors, "images", Head(HeadKind.NONE))


def test_ten_percent_error_is_20_db_however_the_batches_are_cut():
    signal = np.random.default_rng(0).normal(size=(6, 100)).astype(np.float32)
    noise = Noise({"a": "b"})
    for start in (0, 2, 5):
        part = signal[start : {0: 2, 2: 5, 5: 6}[start]]
        noise.add({"a": part}, {"b": part * np.float32(1.1)})

    assert noise.decibels() == {"a": pytest.approx(20, abs=1e-4)}


def test_sums_stay_exact_in_float64():
    """In float32 a million small errors beside large values would vanish."""
    signal = np.full(2_000_000, 4096, np.float32)
    noise = Noise({"a": "a"})
    noise.add({"a": signal}, {"a": signal + np.float32(0.001)})

    step = float(np.float32(4096) + np.float32(0.001)) - 4096
    assert noise.decibels()["a"] == pytest.approx(20 * np.log10(4096 / step), abs=1e-9)


@pytest.mark.parametrize(
    ("signal", "other", "wanted"),
    [(1.0, 1.0, 200), (0.0, 0.0, 200), (0.0, 1.0, -200), (1.0, np.nan, -200), (1.0, np.inf, -200)],
)
def test_equal_outputs_are_200_and_broken_ones_minus_200(signal, other, wanted):
    noise = Noise({"a": "a"})
    noise.add({"a": np.full(4, signal)}, {"a": np.full(4, other)})

    assert noise.decibels() == {"a": wanted}


def test_outputs_pair_by_name_and_then_by_order_where_shapes_fit():
    reference = spec(("p3", (1, 255, 80, 80)), ("p4", (1, 255, 40, 40)), ("p5", (1, 255, 20, 20)))
    renamed = spec(("x", ("n", 255, 80, 80)), ("p5", (4, 255, 20, 20)), ("y", (1, 255, "h", "w")))

    assert pair_outputs(reference, renamed) == {"p3": "x", "p4": "y", "p5": "p5"}


def test_outputs_of_other_shapes_do_not_pair():
    assert pair_outputs(spec(("out", (1, 25200, 85))), spec(("out", (1, 84, 8400)))) == {}
    assert pair_outputs(spec(("out", (1, 25200, 85))), spec(("out", (1, 255, 80, 80)))) == {}
