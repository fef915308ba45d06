"""Corrected weights in a file."""

import numpy as np

from polyyolo.quantization.corrections.keeping import read, save
from polyyolo.quantization.insertion import Weights

SCALES = np.array([0.5, 0.25], np.float32)
WEIGHTS = {
    "a/conv:0": Weights(SCALES, np.array([[1, -2], [3, 4]], np.int8), np.array([1.0, 2.0], np.float32)),
    "b": Weights(SCALES),
}


def test_what_is_read_is_what_was_saved(tmp_path):
    save(WEIGHTS, tmp_path / "weights.npz")

    found = read(tmp_path / "weights.npz")

    assert list(found) == ["a/conv:0", "b"]
    for name, each in WEIGHTS.items():
        for kind in ("scales", "levels", "bias"):
            ours, theirs = getattr(each, kind), getattr(found[name], kind)
            assert (ours is None) is (theirs is None)
            assert ours is None or (ours.dtype == theirs.dtype and np.array_equal(ours, theirs))


def test_the_same_weights_are_the_same_bytes(tmp_path):
    save(WEIGHTS, tmp_path / "first.npz")
    save(WEIGHTS, tmp_path / "second.npz")

    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
