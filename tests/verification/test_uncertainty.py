"""The error bar of a drop tells how far another choice of pictures would have moved it."""

from pathlib import Path

import numpy as np
import pytest

from polyyolo.verification.accuracy import score
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.labelled import Labelled, Truth
from polyyolo.verification.uncertainty import drop_error

SIZE = (300, 400)


def sample(seed, pictures, share=0.8):
    """Pictures with three objects of one class; the reference finds them all, the candidate ``share`` of them."""
    rng = np.random.default_rng(seed)
    labelled, every, some = [], [], []
    for _ in range(pictures):
        corners = np.array([[x, 10, x + 50, 60] for x in (0, 100, 200)], np.float32)
        labelled.append(tuple(Truth(0, (x, 10.0, 50.0, 50.0)) for x in (0.0, 100.0, 200.0)))
        boxes = Boxes(corners, rng.uniform(0.5, 1, 3), np.zeros(3, int))
        every.append(boxes)
        some.append(boxes.take(rng.random(3) < share))
    return Labelled((Path("a.jpg"),) * pictures, tuple(labelled)), [SIZE] * pictures, every, some


def drop(labelled, sizes, reference, candidate):
    first, second = (score(labelled, sizes, found).map50_95 for found in (reference, candidate))
    return 100 * (first - second)


def test_the_error_bar_is_what_drops_on_other_pictures_really_scatter_by():
    samples = [sample(seed, pictures=32) for seed in range(24)]

    scatter = np.std([drop(*each) for each in samples], ddof=1)
    told = np.sqrt(np.mean([drop_error(*each) ** 2 for each in samples]))

    assert 3 < scatter < 6  # sqrt(0.8 * 0.2 / 96) is 4.1 points
    assert told == pytest.approx(scatter, rel=0.3)


def test_equal_models_differ_by_nothing_for_sure():
    labelled, sizes, reference, _ = sample(0, pictures=16)

    assert drop_error(labelled, sizes, reference, reference) == 0


def test_fewer_than_eight_pictures_tell_nothing():
    assert drop_error(*sample(0, pictures=7)) is None
