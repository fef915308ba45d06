"""A run by hand, complete, so that each test changes what it is about."""

from pathlib import Path

import pytest

from polyyolo.records import (
    Accuracy,
    Agreement,
    BuildPlan,
    CalibrationSet,
    Command,
    Engine,
    Fidelity,
    Head,
    HeadKind,
    Layer,
    Limits,
    ModelSpec,
    Precision,
    Preprocessing,
    Profile,
    Route,
    Run,
    ShapeRange,
    Skipped,
    TensorSpec,
    Toolchain,
    ToolchainKind,
)
from polyyolo.reports.verdict import judge


@pytest.fixture
def spec():
    return ModelSpec(
        path=Path("yolov5s.onnx"),
        sha256="a" * 64,
        opset=17,
        inputs=(TensorSpec("images", "float32", (1, 3, 640, 640)),),
        outputs=(TensorSpec("output0", "float32", (1, 25200, 85)),),
        image="images",
        head=Head(HeadKind.V5, 80, ("output0",), (8, 16, 32), why="output0 has 25200 rows of 5 + 80"),
        history=("simplify", "quantize (mse, 53 of 60 nodes)"),
    )


@pytest.fixture
def plan(spec):
    shape = (1, 3, 640, 640)
    return BuildPlan(
        model=spec,
        profile=Profile("static", ({"images": ShapeRange(shape, shape, shape)},)),
        precision=Precision.INT8,
        route=Route.QDQ,
        toolchain=Toolchain(ToolchainKind.RTX, tensorrt="1.7.1"),
        command=Command(("polygraphy", "convert", "my model.onnx"), {"POLYGRAPHY_USE_TENSORRT_RTX": "1"}),
        engine=Path("run/model.plan"),
        notes=("no --int8 here",),
    )


@pytest.fixture
def engine(plan):
    return Engine(Path("run/model.plan"), "e" * 64, 9_870_000, 12.34, plan)


@pytest.fixture
def fidelity():
    """Half a point lost of 44.93, with an error bar of a tenth; F1 0.95."""
    return Fidelity(
        pictures=128,
        held_out=True,
        signal_to_noise_db={"output0": 31.42},
        agreements=(Agreement(0.25, 0.5, 990, 1000, 1000), Agreement(0.25, 0.9, 950, 1000, 1000)),
        reference=Accuracy(0.4493, 0.6393, 128),
        candidate=Accuracy(0.4443, 0.6381, 128),
        drop_error=0.1,
    )


@pytest.fixture
def run(spec, plan, engine, fidelity, tmp_path):
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"bytes")
    preprocessing = Preprocessing((640, 640))
    limits = Limits(max_drop=1.0)
    return Run(
        folder=Path("run"),
        source=spec,
        licence="",
        built=spec,
        profile=plan.profile,
        precision=Precision.INT8,
        route=Route.QDQ,
        preprocessing=preprocessing,
        calibration=CalibrationSet(
            sources=(picture,),
            preprocessing=preprocessing,
            batch=1,
            seed=7,
            found=3,
            sha256="c" * 64,
            skipped=(Skipped(Path("torn.jpg"), "it is cut off"),),
        ),
        method="mse",
        plan=plan,
        engine=engine,
        fidelity=fidelity,
        layers=(
            Layer("stem", "Conv", Precision.FP16, 10, "nearest the image"),
            Layer("body", "Conv", Precision.INT8, 88),
            Layer("head", "Conv", Precision.FP16, 2, "head output"),
        ),
        sensitivities=(),
        verdict=judge(engine, fidelity, limits),
        pictures=("pictures/a.jpg",),
        seconds={"calibrate": 12.04, "build": 3.0},
        reused=("build",),
    )
