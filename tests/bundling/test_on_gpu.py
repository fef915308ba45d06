"""The bundle with a real trtexec on a real GPU: everything that the fake one cannot know."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from polyyolo.bundling.returned import merged, read_back
from polyyolo.engines.gpu import first_gpu
from polyyolo.engines.programs import find_trtexec
from polyyolo.records import Outcome

HERE = find_trtexec()


@pytest.mark.gpu
@pytest.mark.skipif(not (HERE.version and first_gpu().name), reason="no trtexec, or no NVIDIA GPU")
def test_a_bundle_is_built_measured_and_read_back_with_a_real_trtexec(bundle, packed_run, tmp_path):
    """Its INT8 boxes are those that ONNX Runtime predicts, its layers are told, and its times are those of a GPU."""
    there = Path(shutil.copytree(bundle, tmp_path / "there"))
    for script in ("build.sh", "bench.sh"):
        environment = {**os.environ, "TRTEXEC": str(HERE.path)}
        subprocess.run(["sh", there / script], env=environment, check=True, timeout=1800)
    run = merged(packed_run, read_back(there, packed_run))
    checks = {check.name: check for check in run.verdict.checks}

    assert checks["the engine's own accuracy"].outcome is not Outcome.FAIL, checks
    assert checks["speed"].outcome is Outcome.PASS
    assert any(layer.precision == "INT8" for layer in run.engine_layers)
    assert run.benchmarks[-1].gpu_compute.samples > 100
