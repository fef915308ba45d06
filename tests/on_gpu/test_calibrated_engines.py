"""Engines from a calibration cache of ours: they build, run, and do what was predicted on the CPU.

Which layers run in INT8 is TensorRT's choice by time on this route; the little model is too small to gain from it.
"""

import json

import pytest

from polyyolo.files import read_json
from polyyolo.records import Outcome, Run

pytestmark = pytest.mark.gpu


@pytest.mark.usefixtures("bindings")
def test_a_run_of_the_calibrated_route_is_built_run_and_agrees_with_its_prediction(builds):
    done = builds.done("run")
    assert done.status in (0, 1), str(done)
    run = read_json(builds.folder / "run" / "report.json", Run)
    checks = {check.name: check for check in run.verdict.checks}

    assert checks["engine built"].outcome is Outcome.PASS, str(done)
    assert checks["speed"].outcome is Outcome.PASS, checks["speed"].got
    assert checks["the engine's own accuracy"].outcome is not Outcome.FAIL, checks["the engine's own accuracy"].got
    assert "does not run" not in checks["the engine's own accuracy"].got
    assert len(run.engine_layers) > 5
    log = (builds.folder / "run" / "build.log").read_text()
    assert "Reading Calibration Cache for calibrator: EntropyCalibration2" in log
    assert "Could not find any implementation" not in log


@pytest.mark.usefixtures("bindings")
def test_a_build_from_pictures_does_what_the_qdq_model_of_the_same_scales_does(builds, jobs, little, tmp_path):
    """``cache import`` makes the model that ONNX Runtime can run of the cache that TensorRT was built with.

    Against FP32 that model has an F1 of 0.96 and 57 dB.
    """
    engine, predicted = builds.engine("calibrated"), tmp_path / "predicted.onnx"
    cache = engine.with_name("e.plan.cache")
    made = jobs.run("cache", "import", cache, "--model", little.static, "-o", predicted)
    assert made.status == 0, str(made)

    words = ("--model", little.static, "--against", predicted, "--labelled", little.seen, "--json")
    done = jobs.run("verify", engine, *words, "-o", tmp_path / "verified")
    assert done.status in (0, 1), str(done)

    told = json.loads(done.out)
    assert told["agreement"]["0.5"] >= 0.85, told
    assert told["signal_to_noise_db"]["output0"] > 30, told
    assert "Could not find any implementation" not in engine.with_name("e.plan.log").read_text()
