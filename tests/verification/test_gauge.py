"""How much noise matters: on what the FP32 model sees, and not on background."""

import numpy as np
import pytest

from polyyolo.records import Head, HeadKind
from polyyolo.verification.gauge import SEEN, Gauge

V8 = Head(HeadKind.V8, classes=2, outputs=("out",), strides=(8,))
V5 = Head(HeadKind.V5, classes=2, outputs=("out",), strides=(8,))
NONE = Head(HeadKind.NONE)


def v8(*scores):
    """One picture's output: a column of 4 + 2 a cell."""
    out = np.full((1, 6, len(scores)), 50, np.float32)
    out[0, 4:] = np.array(scores, np.float32).T
    return {"out": out}


def test_only_scores_of_what_is_seen_are_kept():
    sight = Gauge(V8).see(v8((0.9, 0.01), (0.02, 0.02), (SEEN / 2, 0.5)))

    assert sight.where.tolist() == [0, 5]
    np.testing.assert_allclose(sight.values, [[0.9, 0.5]])


def test_where_nothing_is_seen_there_is_nothing_to_measure():
    assert Gauge(V8).see(v8((0.01, 0.0), (0.04, 0.0))) is None


def test_noise_is_the_power_of_the_error_against_that_of_the_signal():
    gauge = Gauge(V8)
    sight = gauge.see(v8((0.8, 0.0), (0.0, 0.6)))

    noise = gauge.noise(sight, v8((0.7, 0.0), (0.0, 0.6)))

    assert noise == pytest.approx(0.1**2 / (0.8**2 + 0.6**2), rel=1e-5)
    assert gauge.noise(sight, v8((0.8, 0.0), (0.0, 0.6))) == 0


def test_noise_on_background_does_not_matter():
    gauge = Gauge(V8)
    sight = gauge.see(v8((0.8, 0.0), (0.0, 0.0)))

    assert gauge.noise(sight, v8((0.8, 0.0), (0.0, 0.9))) == 0


def test_objectness_is_part_of_a_yolov5_score():
    row = [50, 50, 9, 9, 0.5, 0.9, 0.2]
    outputs = {"out": np.array([[row, [50, 50, 9, 9, 0.01, 0.9, 0.9]]], np.float32)}

    sight = Gauge(V5).see(outputs)

    np.testing.assert_allclose(sight.values, [[0.45, 0.1]], rtol=1e-6)


def test_without_a_head_all_outputs_count():
    gauge = Gauge(NONE)
    outputs = {"a": np.array([[3.0]], np.float32), "b": np.array([[0.0, 4.0]], np.float32)}

    sight = gauge.see(outputs)

    assert [values.size for values in sight.values] == [1, 2]
    assert gauge.noise(sight, {"a": np.array([[2.0]]), "b": np.array([[0.0, 4.0]])}) == pytest.approx(1 / 25)


def test_rows_of_an_end_to_end_model_are_looked_for_where_they_were():
    """They are in the order of their scores: the error is that of the scores, however they change places."""
    gauge = Gauge(Head(HeadKind.END_TO_END, classes=2, outputs=("out",)))
    cat, dog = [0, 0, 50, 50, 0.8, 0], [100, 100, 150, 150, 0.6, 1]
    unused = [0, 0, 0, 0, 0, 0]
    sight = gauge.see({"out": np.array([[cat, dog, unused]])})

    swapped = gauge.noise(sight, {"out": np.array([[[100, 100, 150, 152, 0.7, 1], [1, 0, 50, 50, 0.6, 0], unused]])})
    elsewhere = gauge.noise(sight, {"out": np.array([[cat, [300, 100, 350, 150, 0.6, 1], [*dog[:5], 0]]])})

    assert swapped == pytest.approx((0.2**2 + 0.1**2) / (0.8**2 + 0.6**2), rel=1e-5)
    assert elsewhere == pytest.approx(0.6**2 / (0.8**2 + 0.6**2), rel=1e-5)
    assert gauge.see({"out": np.array([[unused]])}) is None


def test_a_row_that_one_model_finds_and_the_other_does_not_is_noise_whole():
    """NMS in the model gives as many rows as there are, and one more or less is no other model."""
    gauge = Gauge(NONE)
    rows = {"out": np.array([[[3.0, 4.0], [0.0, 5.0]]])}
    fewer = {"out": rows["out"][:, :1]}

    assert gauge.noise(gauge.see(rows), fewer) == pytest.approx(25 / 50)
    assert gauge.noise(gauge.see(fewer), rows) == pytest.approx(25 / 25)
    assert gauge.see({"out": rows["out"][:, :0]}) is None


def test_outputs_of_zeros_divide_by_nothing():
    gauge = Gauge(NONE)
    nothing = {"a": np.zeros((1, 3), np.float32)}

    assert gauge.noise(gauge.see(nothing), nothing) == 0
