"""Signal-to-noise is power against error power, output by output."""

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from polyyolo.records import Head, HeadKind, ModelSpec, TensorSpec
from polyyolo.verification.noise import noise, pair_outputs, powers


def spec(*outputs):
    tensors = tuple(TensorSpec(name, "float32", dims) for name, dims in outputs)
    image = TensorSpec("images", "float32", (1, 3, 64, 64))
    return ModelSpec(Path("m.onnx"), "0" * 64, 17, (image,), tensors, "images", Head(HeadKind.NONE))


SAME = {"a": "a"}


def measured(signal, other, cuts=()):
    """The ratio of one output, its pictures cut into batches."""
    ours, theirs = (np.split(each, cuts) for each in (signal, other))
    parts = [powers(SAME, {"a": one}, {"a": two}, len(one)) for one, two in zip(ours, theirs, strict=True)]
    return noise(SAME, np.concatenate(parts))["signal_to_noise_db"]["a"]


def test_ten_percent_error_is_20_db_and_to_the_bit_the_same_however_the_batches_are_cut():
    signal = np.random.default_rng(0).normal(size=(6, 10, 10)).astype(np.float32)
    ratio = measured(signal, signal * np.float32(1.1))

    assert ratio == pytest.approx(20, abs=1e-4)
    assert measured(signal, signal * np.float32(1.1), cuts=(2, 5)) == ratio
    assert measured(signal, signal * np.float32(1.1), cuts=(1, 2, 3, 4, 5)) == ratio


def test_sums_stay_exact_in_float64():
    """In float32 a million small errors beside large values would vanish."""
    signal = np.full((1, 2_000_000), 4096, np.float32)

    step = float(np.float32(4096) + np.float32(0.001)) - 4096
    assert measured(signal, signal + np.float32(0.001)) == pytest.approx(20 * np.log10(4096 / step), abs=1e-9)


@pytest.mark.parametrize(
    ("signal", "other", "wanted"),
    [
        *[(1.0, 1.0, 200), (0.0, 0.0, 200)],
        *[(0.0, 1.0, -200), (1.0, np.nan, -200), (1.0, np.inf, -200), (np.inf, np.inf, -200)],
    ],
)
@pytest.mark.filterwarnings("error")
def test_equal_outputs_are_200_and_broken_ones_minus_200(signal, other, wanted):
    assert measured(np.full((2, 4), signal), np.full((2, 4), other)) == wanted


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_in_one_place_are_named(value):
    ours = {name: np.ones((2, 8), np.float32) for name in ("a", "b")}
    theirs = {name: array.copy() for name, array in ours.items()}
    theirs["b"][1, 3] = value
    pairs = {"a": "a", "b": "b"}

    assert noise(pairs, powers(pairs, ours, theirs, 2))["not_finite"] == ("b",)
    assert noise(pairs, powers(pairs, theirs, ours, 2))["not_finite"] == ("b",)


def test_each_output_has_a_ratio_of_its_own():
    ours = {"p3": np.ones((2, 8)), "p4": np.ones((2, 3))}
    theirs = {"x": np.full((2, 8), 1.1), "p4": np.full((2, 3), 2.0)}
    pairs = {"p3": "x", "p4": "p4"}

    found = noise(pairs, powers(pairs, ours, theirs, 2))
    assert found["signal_to_noise_db"] == {"p3": pytest.approx(20), "p4": pytest.approx(0)}
    assert found["not_finite"] == ()


def test_rows_that_only_one_model_finds_count_whole():
    """NMS in the model gives as many rows as there are."""
    ours, theirs = np.full((1, 3, 6), 2.0), np.full((1, 2, 6), 2.0)

    assert measured(ours, theirs) == pytest.approx(10 * np.log10(3))
    assert measured(theirs, ours) == pytest.approx(10 * np.log10(2))


def test_outputs_pair_by_name_and_then_by_order_where_shapes_fit():
    reference = spec(("p3", (1, 255, 80, 80)), ("p4", (1, 255, 40, 40)), ("p5", (1, 255, 20, 20)))
    renamed = spec(("x", ("n", 255, 80, 80)), ("p5", (4, 255, 20, 20)), ("y", (1, 255, "h", "w")))

    assert pair_outputs(reference, renamed) == {"p3": "x", "p4": "y", "p5": "p5"}


def test_open_outputs_of_another_family_do_not_pair():
    v8 = spec(("out", ("n", 84, "anchors")))
    v5 = evolve(spec(("out", ("n", "boxes", 85))), head=Head(HeadKind.V5, ("out",), 80))

    assert pair_outputs(v8, v5) == {}
    assert pair_outputs(v5, v5) == {"out": "out"}


def test_outputs_of_other_shapes_do_not_pair():
    assert pair_outputs(spec(("out", (1, 25200, 85))), spec(("out", (1, 84, 8400)))) == {}
    assert pair_outputs(spec(("out", (1, 25200, 85))), spec(("out", (1, 255, 80, 80)))) == {}
