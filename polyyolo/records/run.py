"""What is asked of a run, and what it came to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from polyyolo.progress import Warned
from polyyolo.records.benchmark import Benchmark
from polyyolo.records.engine import BuildPlan, Engine, Layer, Precision, Profile, Route, Sensitivity
from polyyolo.records.layers import EngineLayer
from polyyolo.records.model import HeadKind, ModelSpec
from polyyolo.records.pictures import CalibrationSet, Preprocessing
from polyyolo.records.proof import Fidelity, Verdict


@frozen
class Limits:
    """What a model must keep to pass.

    Attributes:
        max_drop: points of mAP50-95 that may be lost against FP32.
        min_agreement: F1 of box agreement with FP32 at confidence 0.25 and IoU 0.9, 0 to 1.
        max_latency_ms: median of the GPU's work for one query; None where nothing is asked.
        min_speedup: how many times faster than the baseline; None where nothing is asked.
    """

    max_drop: float = 0.5
    min_agreement: float = 0.9
    max_latency_ms: float | None = None
    min_speedup: float | None = None


@frozen
class Request:
    """Everything that a user can ask of ``polyyolo engine``.

    Attributes:
        model: a path or a name.
        images: pictures to calibrate with: a folder, a list, a data.yaml or an .npy; None takes sample photographs.
        labelled: labelled pictures to measure accuracy on.
        profile: name or path; None takes the model's own shape.
        toolchain: "auto", "tensorrt", "rtx" or "none".
        program: "trtexec" or "polygraphy"; None takes what is there.
        count: how many pictures to calibrate with, at most.
        seed: of their choice.
        method: of the ranges.
        weights: method of the weights' ranges, each output channel's: "max", "mse", "entropy" or "percentile-P".
        correct: what makes up for the rounding of weights: "rounding", "bias" or "none".
        keep_float: what stays in float besides the head: "auto" measures what costs the most, "stem" takes what is
            nearest the image, "none" nothing; anything else is the name of a node.
        budget: share of the model's work, 0 to 1, that may be in float with "auto" or "stem", the head's with it.
        shift: let INT8 begin at the lowest value of activation functions such as SiLU where it need not be around 0.
        half_io: let inputs and outputs be FP16.
        overrides: preprocessing that differs from the model's preset.
        compute_capabilities: GPUs that TensorRT for RTX builds for.
        calibrator: TensorRT's own that calibrates, on the GPU; None calibrates here, on the CPU.
        measure: run the engine where this machine has its GPU.
        baseline: benchmark of the engine that it should be faster than, as ``polyyolo bench`` writes it.
        for_both_routes: calibrate what either route to INT8 needs, so that one calibration serves both.
        output: the run's folder; None names it for the model and the precision, below runs/.
    """

    model: str
    images: Path | None = None
    labelled: Path | None = None
    head: HeadKind | None = None
    profile: str | None = None
    precision: Precision = Precision.INT8
    route: Route = Route.QDQ
    toolchain: str = "auto"
    program: str | None = None
    count: int = 128
    seed: int = 0
    method: str = "mse-seen"
    weights: str = "max"
    correct: tuple[str, ...] = ("none",)
    keep_float: tuple[str, ...] = ("auto",)
    budget: float = 0.10
    shift: bool = True
    half_io: bool = False
    overrides: Mapping[str, Any] = field(factory=dict)
    compute_capabilities: tuple[str, ...] = ()
    limits: Limits = Limits()
    output: Path | None = None
    for_both_routes: bool = False
    calibrator: str | None = None
    measure: bool = True
    baseline: Path | None = None


USUAL = Request(model="")
"""What is asked for where an option is left out, on every verb that has it."""


@frozen
class Run:
    """What a run came to.

    Attributes:
        folder: where everything lies.
        source: the model as it was given.
        licence: of its weights, where known; else empty.
        built: the ONNX that the engine was, or would be, built from.
        plan: None where there is no toolchain.
        engine: None where nothing was built.
        fidelity: None where there was nothing to compare on.
        layers: of ``built``.
        sensitivities: what quantizing each tensor alone costs, the most costly first; empty where it was not measured.
        pictures: side-by-side pictures and the contact sheet, below ``folder``.
        seconds: step -> how long it took when it was done.
        reused: steps that were not done again.
        benchmarks: of the engine, one for each batch or shape; empty where it was not run.
        engine_layers: of the engine; empty where they were not asked for or cannot be had.
        request: what was asked for; None in records of before it was kept.
        warnings: what the user was told during the run, in order.
        in_float: identity of each weighted node that stays in float -> why.
        baseline: of the engine that it should be faster than; empty where none was named.
    """

    folder: Path
    source: ModelSpec
    licence: str
    built: ModelSpec
    profile: Profile
    precision: Precision
    route: Route
    preprocessing: Preprocessing
    calibration: CalibrationSet | None
    method: str
    plan: BuildPlan | None
    engine: Engine | None
    fidelity: Fidelity | None
    layers: tuple[Layer, ...]
    sensitivities: tuple[Sensitivity, ...]
    verdict: Verdict
    pictures: tuple[str, ...]
    seconds: Mapping[str, float]
    reused: tuple[str, ...]
    benchmarks: tuple[Benchmark, ...] = ()
    engine_layers: tuple[EngineLayer, ...] = ()
    request: Request | None = None
    warnings: tuple[Warned, ...] = ()
    in_float: Mapping[str, str] = field(factory=dict)
    baseline: tuple[Benchmark, ...] = ()
