"""The script that holds both ways of measuring together says how far apart they are, and fails beyond 3%."""

import importlib.util
import sys
from pathlib import Path

import pytest

from polyyolo.records import Benchmark, Latency

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "both_ways.py"


@pytest.fixture
def both_ways(monkeypatch):
    """Load the script, with measurements of 1 ms by trtexec and of ``milliseconds`` by Python."""

    def load(milliseconds):
        spec = importlib.util.spec_from_file_location("both_ways", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "both_ways", module)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "bench", lambda engine, asked, _: iter([measured(engine, asked, milliseconds)]))
        monkeypatch.setattr(sys, "argv", ["both_ways.py", "model.plan", "--batch", "1,8"])
        return module

    return load


def measured(engine, asked, milliseconds):
    median = 1.0 if asked.program == "trtexec" else milliseconds
    latency = Latency(100, *[median] * 7)
    return Benchmark(
        engine=engine,
        sha256="0" * 64,
        shapes={"images": (asked.batches[0], 3, 64, 64)},
        batch=asked.batches[0],
        images_per_s=1000 / median,
        gpu_compute=latency,
        end_to_end=latency,
        gpu="NVIDIA H200",
        measured_by=asked.program,
        command=(),
        settings={},
        conditions={},
    )


@pytest.mark.parametrize(("milliseconds", "code", "worst"), [(1.02, 0, "2.00%"), (1.05, 1, "5.00%")])
def test_each_batch_is_measured_both_ways_and_compared(both_ways, capsys, milliseconds, code, worst):
    left = both_ways(milliseconds).main()

    said = capsys.readouterr().out
    assert left == code
    assert f"at most {worst} apart, 3% allowed" in said
    assert f"model.plan batch 8: GPU compute +{worst}" in said
