"""The mistakes that ruin a calibration are found before it, and good batches pass."""

import numpy as np
import pytest

from polyyolo.images.lint import Severity, expected_range, lint
from polyyolo.records import Preprocessing, TensorSpec

INPUT = TensorSpec("images", "float32", ("batch", 3, 32, 32))
HOW = Preprocessing((32, 32))


def good() -> np.ndarray:
    batch = np.random.default_rng(0).random((4, 3, 32, 32), np.float32)
    batch[:, :, 0, :2] = 0, 1
    return batch


def test_a_good_batch_has_no_findings():
    assert lint(good(), INPUT, HOW) == ()


def put(batch, index, value):
    batch[index] = value
    return batch


@pytest.mark.parametrize(
    ("change", "severity", "message"),
    [
        (
            lambda batch: put(batch, (2, 0, 0, 0), np.nan),
            Severity.ERROR,
            "NaN or infinity in picture 2 of the batch (1 in all)",
        ),
        (
            lambda batch: put(batch, (0, 0, 0, 0), np.inf),
            Severity.ERROR,
            "NaN or infinity in picture 0 of the batch (1 in all)",
        ),
        (
            lambda batch: np.round(batch * 255),
            Severity.ERROR,
            "values go from 0 to 255, where this preprocessing gives 0 to 1",
        ),
        (
            lambda batch: batch * 2 - 1,
            Severity.ERROR,
            "values go from -1 to 1, where this preprocessing gives 0 to 1",
        ),
        (
            lambda batch: batch / 255,
            Severity.WARNING,
            "values go from 0 to 0.003922, where this preprocessing gives 0 to 1",
        ),
        (np.zeros_like, Severity.ERROR, "every picture of the batch is one single value"),
        (
            lambda batch: put(batch, 1, 0.5),
            Severity.WARNING,
            "picture 1 of the batch is one single value (1 in all)",
        ),
        (lambda batch: put(batch, 3, batch[0]), Severity.WARNING, "1 of 4 pictures in the batch repeat another"),
        (
            lambda batch: batch.astype(np.float64),
            Severity.ERROR,
            "the batch is float64, input 'images' takes float32",
        ),
        (
            lambda batch: batch[:, :, :16],
            Severity.ERROR,
            "the batch is (4, 3, 16, 32), input 'images' takes ('batch', 3, 32, 32)",
        ),
        (
            lambda batch: batch[0],
            Severity.ERROR,
            "the batch is (3, 32, 32), input 'images' takes ('batch', 3, 32, 32)",
        ),
    ],
)
def test_each_mistake_is_one_finding(change, severity, message):
    found = lint(change(good()), INPUT, HOW)

    assert [(finding.severity, finding.message) for finding in found] == [(severity, message)]
    assert found[0].fix


def test_errors_come_before_warnings():
    batch = np.round(good() * 255).astype(np.float64)
    batch[1] = batch[0]

    assert [finding.severity.value for finding in lint(batch, INPUT, HOW)] == ["error", "error", "warning"]


def test_the_expected_range_follows_scale_mean_and_std():
    imagenet = Preprocessing((32, 32), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

    assert expected_range(imagenet) == pytest.approx((-2.1179, 2.64), abs=1e-4)
    assert expected_range(Preprocessing((32, 32), scale=1.0)) == (0, 255)
