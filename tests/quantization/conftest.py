"""Fragments of graphs, written as ONNX text, and what is decided about them."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from polyyolo.models.runtime import open_session
from polyyolo.passes.trial import with_outputs
from polyyolo.quantization.graph import imported
from polyyolo.quantization.lint.run import lint
from polyyolo.quantization.placement import FloatBudget, place
from polyyolo.records import CalibrationTable, Head, HeadKind, ModelSpec, Preprocessing

NOTHING = FloatBudget()
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


@pytest.fixture
def qdq(fragment):
    """Write a fragment in which ``name@scale`` is ``name`` behind a Q/DQ pair, and ``name@one@other`` behind two.

    Scales are ``s`` (0.05), ``t`` (0.1) and, for each of 8 outputs, ``ws``; others, and the zero-point of a scale
    as ``s_zero``, come as keyword arguments, INT8's 0 where not. What is called w and a number is 8 x 8 weights.
    """

    def write(body, opset=17, **values):
        values = {"s": np.float32(0.05), "t": np.float32(0.1), "ws": np.full(8, 0.02, np.float32), **values}
        lines = []

        def behind_pairs(match):
            name, *scales = match[0].split("@")
            for scale in scales:
                zero = f"{scale}_zero"
                values.setdefault(zero, np.zeros(np.shape(values[scale]), np.int8))
                axis = f"axis = {0 if name.startswith('w') else 1}"
                pair = (
                    f"{name}_{scale}_q = QuantizeLinear<{axis}>({name}, {scale}, {zero})",
                    f"{name}_{scale} = DequantizeLinear<{axis}>({name}_{scale}_q, {scale}, {zero})",
                )
                lines.extend(line for line in pair if line not in lines)
                name = f"{name}_{scale}"
            return name

        for line in body.strip().splitlines():
            written = re.sub(r"\w+(@\w+)+", behind_pairs, line)
            lines.append(written)
        text = "\n".join(lines)
        weights = {name: (8, 8, 1, 1) for name in re.findall(r"\bw\d+\b", text) if name not in values}
        constants = {name: value for name, value in values.items() if re.search(rf"\b{name}\b", text)}
        return fragment(text, outputs="float[1,8,16,16] y", opset=opset, constants=constants, **weights)

    return write


@pytest.fixture
def spec():
    """Tell what a fragment is."""
    path, head = Path("fragment.onnx"), Head(HeadKind.NONE)
    return ModelSpec(path=path, sha256="0" * 64, opset=17, inputs=(), outputs=(), image="x", head=head)


@pytest.fixture
def findings(spec):
    """Lint a model; give what was found by rule, without the share of INT8."""

    def look(model):
        *found, _ = lint(model, spec, (16, 16))
        by_rule = {}
        for finding in found:
            by_rule.setdefault(finding.rule.name, []).append(finding)
        return by_rule

    return look


@pytest.fixture
def value_of():
    """Tell what a tensor of a model of ``x`` holds for a seeded picture."""

    def run(tensor, model, shape=PICTURE):
        picture = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
        return open_session(with_outputs(model, [tensor]).SerializeToString()).run([tensor], {"x": picture})[0]

    return run
