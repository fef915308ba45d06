"""What the tests of passes share: a model run in ONNX Runtime, and seeded pictures."""

import numpy as np
import onnx
import onnxruntime
import pytest

from polyyolo.passes.trial import outputs_for, pictures


@pytest.fixture(scope="session")
def infer():
    """Run a model on a batch: output name -> array."""
    onnxruntime.set_default_logger_severity(4)
    return outputs_for


@pytest.fixture(scope="session")
def noise():
    """Make a batch of seeded pictures for a model: (count, C, height, width)."""
    return pictures


@pytest.fixture
def same(infer, noise):
    """Whether two models give the same numbers for one picture, to a millionth of the largest."""

    def check(before: onnx.ModelProto, after: onnx.ModelProto, size=(640, 640)) -> None:
        batch = noise(before, 1, size)
        for expected, got in zip(infer(before, batch).values(), infer(after, batch).values(), strict=True):
            assert expected.shape == got.shape
            assert np.abs(expected - got).max() <= 1e-6 * np.abs(expected).max() + 1e-6

    return check
