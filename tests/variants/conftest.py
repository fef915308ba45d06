"""Runs by hand: what was built, timed and compared, and what was not."""

from pathlib import Path

import pytest
from attrs import evolve

from polyyolo.records import (
    Accuracy,
    Agreement,
    Benchmark,
    BuildPlan,
    Command,
    Engine,
    Fidelity,
    Head,
    HeadKind,
    Latency,
    Limits,
    ModelSpec,
    Precision,
    Preprocessing,
    Profile,
    Route,
    Run,
    TensorSpec,
    Toolchain,
    ToolchainKind,
)
from polyyolo.reports.verdict import judge

SPEC = ModelSpec(
    path=Path("yolov8n.onnx"),
    sha256="a" * 64,
    opset=17,
    inputs=(TensorSpec("images", "float32", (1, 3, 640, 640)),),
    outputs=(TensorSpec("output0", "float32", (1, 84, 8400)),),
    image="images",
    head=Head(HeadKind.V8, 80, ("output0",), (8, 16, 32)),
)
PLAN = BuildPlan(
    model=SPEC,
    profile=Profile("static", ()),
    precision=Precision.FP16,
    route=Route.QDQ,
    toolchain=Toolchain(ToolchainKind.TENSORRT, tensorrt="8.6.0"),
    command=Command(("trtexec",)),
    engine=Path("model.plan"),
)
ENGINE = Engine(Path("model.plan"), "e" * 64, 9_870_000, 12.34, PLAN)
LABELLED = Fidelity(
    pictures=128,
    held_out=True,
    signal_to_noise_db={},
    agreements=(Agreement(0.25, 0.5, 990, 1000, 1000), Agreement(0.25, 0.9, 950, 1000, 1000)),
    reference=Accuracy(0.4493, 0.6393, 128),
    candidate=Accuracy(0.4443, 0.6381, 128),
    drop_error=0.1,
)


def benchmark(median_ms):
    latency = Latency(1000, *[median_ms] * 7)
    return Benchmark(
        engine=Path("model.plan"),
        sha256="e" * 64,
        shapes={"images": (1, 3, 640, 640)},
        batch=1,
        images_per_s=1000 / median_ms,
        gpu_compute=latency,
        end_to_end=None,
        gpu="NVIDIA H200",
        measured_by="trtexec 8.6.0",
        command=("trtexec",),
        settings={},
        conditions={},
    )


@pytest.fixture
def run():
    """Make a run; ``median_ms`` is its latency on a GPU, where it was timed."""

    def make(*, engine=ENGINE, fidelity=LABELLED, median_ms=None):
        return Run(
            folder=Path("compared/fp16"),
            source=SPEC,
            licence="",
            built=SPEC,
            profile=PLAN.profile,
            precision=Precision.FP16,
            route=Route.QDQ,
            preprocessing=Preprocessing((640, 640)),
            calibration=None,
            method="mse",
            plan=PLAN,
            engine=engine,
            fidelity=fidelity,
            layers=(),
            sensitivities=(),
            verdict=judge(engine, fidelity, Limits()),
            pictures=(),
            seconds={},
            reused=(),
            benchmarks=(benchmark(median_ms),) if median_ms else (),
        )

    return make


@pytest.fixture
def unlabelled():
    return evolve(LABELLED, reference=None, candidate=None, drop_error=None)
