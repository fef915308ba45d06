"""Fragments of graphs, written as ONNX text, and what is decided about them."""

import numpy as np
import onnx
import pytest

from polyyolo.quantization.graph import imported
from polyyolo.quantization.placement import FloatBudget, place
from polyyolo.records import CalibrationTable, Preprocessing

NOTHING = FloatBudget(stem=0.0)
PICTURE = (1, 8, 16, 16)


@pytest.fixture
def fragment():
    """Write ``body`` as a model that takes ``x`` (1, 8, 16, 16); weights are seeded and named with their shapes."""

    def write(body, outputs="y", x=PICTURE, opset=17, constants=None, **weights):
        dims = ",".join(map(str, x))
        model = onnx.parser.parse_model(
            f'<ir_version: 8, opset_import: ["" : {opset}]> fragment (float[{dims}] x) => ({outputs}) {{ {body} }}'
        )
        generator = np.random.default_rng(0)
        values = {name: generator.normal(0, 1, shape).astype(np.float32) for name, shape in weights.items()}
        values |= constants or {}
        model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in values.items())
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
        return model

    return write


@pytest.fixture
def placed():
    """Decide a model's placement; nothing is left in float for its nearness to the image unless asked."""

    def decide(model, budget=NOTHING, macs=None):
        return place(imported(model), macs or {}, budget)

    return decide


@pytest.fixture
def table():
    """Make a calibration table of given largest magnitudes."""

    def make(amax, model_sha256="0" * 64):
        return CalibrationTable(
            model_sha256=model_sha256,
            set_sha256="1" * 64,
            preprocessing=Preprocessing((16, 16)),
            pictures=1,
            method="max",
            ranges={name: {"max": value} for name, value in amax.items()},
            histogram_sha256="2" * 64,
        )

    return make
