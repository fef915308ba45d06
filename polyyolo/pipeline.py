"""The sentence that polyyolo is: a model and pictures in, an engine and its proof out."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from attrs import evolve, frozen

from polyyolo import measuring, progress, stages
from polyyolo.benchmarking import keeping
from polyyolo.decisions import Decisions, decide
from polyyolo.engines.calibrators import BASES
from polyyolo.errors import InputError
from polyyolo.foretelling import foretell
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantizing import Quantized, quantize_model
from polyyolo.records import Absent, BuildPlan, Engine, Fidelity, Measured, ModelSpec, Request, Run
from polyyolo.reports import manifest, writing
from polyyolo.reports.reading import read_run
from polyyolo.reports.verdict import judge
from polyyolo.verification.layers import int8_share, layers
from polyyolo.workspace import Workspace

LITTLE = 0.5
"""Share of the work in INT8 below which FP16 is hardly slower, and exact."""


@frozen
class Made:
    """What the first half of a run made.

    Attributes:
        quantized: None where nothing is quantized here.
        judged: the ONNX whose loss is measured: that of the engine, as ONNX Runtime can run it.
        built: the ONNX that the engine was, or would be, built from.
        plan: None where there is no toolchain.
        engine: likewise.
    """

    quantized: Quantized | None
    judged: ModelSpec
    built: ModelSpec
    plan: BuildPlan | None
    engine: Engine | None


def engine(request: Request, lenders: Sequence[Path] = ()) -> Run:
    """Do all of it.

    Args:
        request: all that is asked for.
        lenders: folders of other runs, whose steps are reused where the same goes into them.

    Raises:
        PolyYoloError: whatever stops the run; results of earlier runs stay as they were.
    """
    with progress.recording() as told:
        decisions = decide(request)
        earlier = _earlier(decisions.folder)
        with Workspace.open(decisions.folder, lenders) as space:
            prepared = stages.prepare(space, decisions)
            way = _calibrated_there if request.calibrator else _calibrated_here
            made = way(space, decisions, prepared)
            fidelity = stages.compare(space, decisions, made.judged)
            measured = measuring.measure(space, decisions, made.judged, made.engine) if made.engine else None
            gathered = _gathered(space, decisions, made, fidelity, measured)
            if made.quantized:
                _warn_of_little(gathered)
            run = evolve(gathered, warnings=tuple(told.warnings))
            space.publish(*writing.write(run, space.path(""), manifest.of(run, decisions.toolchain)))
            writing.remove_stale(run)
            for benchmark in run.benchmarks:
                keeping.keep(benchmark, run.folder / keeping.FILE)
    _tell_of_returned(earlier, run)
    return run


def _earlier(folder: Path) -> Run | None:
    """Read what an earlier run in this folder came to; None where there is none that can be read."""
    try:
        return read_run(folder)
    except (InputError, OSError):  # what is wrong with the folder itself is told where it is opened
        return None


def _tell_of_returned(earlier: Run | None, run: Run) -> None:
    """Tell that the report no longer has what came back from another machine, which joined that of an earlier run."""
    if earlier and earlier.engine and "build" not in earlier.seconds and not run.engine:
        back = earlier.engine.path.parent.parent
        progress.warn(
            f"{run.folder} has no figures of the engine that came back in {back} any more: they were joined to the "
            "earlier run's report",
            f"join them again where it is still that model: polyyolo report {quote(str(run.folder))} --from "
            f"{quote(str(back))}",
        )


def _calibrated_here(space: Workspace, decisions: Decisions, prepared: ModelSpec) -> Made:
    """Quantize the model, or leave it in float; then build."""
    quantized = quantize_model(space, decisions, prepared) if decisions.quantizes else None
    judged = stages.cast(space, decisions, quantized.spec if quantized else prepared)
    wanted = quantized if decisions.calibrates else None
    cache = stages.write_cache(space, decisions, prepared, wanted) if wanted else None
    built = prepared if cache or decisions.foretells_half else judged
    return Made(quantized, judged, built, *stages.build_engine(space, decisions, built, cache))


def _calibrated_there(space: Workspace, decisions: Decisions, prepared: ModelSpec) -> Made:
    """Let TensorRT calibrate while it builds, and then see what its scales cost."""
    plan, engine = stages.build_engine(space, decisions, prepared, None)
    quantized = foretell(space, decisions, prepared)
    return Made(quantized, quantized.spec, prepared, plan, engine)


def _gathered(
    space: Workspace, decisions: Decisions, made: Made, fidelity: Fidelity | None, measured: Measured | None
) -> Run:
    request, quantized, built = decisions.request, made.quantized, made.built
    timed = measured.benchmark if measured else Absent("")
    return Run(
        folder=decisions.folder,
        source=decisions.spec,
        licence=decisions.licence,
        built=stages.published(built, decisions.folder),
        profile=decisions.profile,
        precision=request.precision,
        route=request.route,
        preprocessing=decisions.preprocessing,
        calibration=decisions.calibration if quantized else None,
        method=_method(request, quantized),
        plan=made.plan,
        engine=made.engine,
        fidelity=fidelity,
        layers=layers(
            built,
            decisions.preprocessing.size,
            quantized.budget if quantized else FloatBudget(),
            planned=decisions.calibrates,
        ),
        sensitivities=quantized.sensitivities if quantized else (),
        verdict=judge(made.engine, fidelity, request.limits, measured, decisions.baseline),
        pictures=tuple(
            name for entry in space.steps.values() for name in entry.outputs if name.endswith((".png", ".jpg"))
        ),
        seconds={name: entry.seconds for name, entry in space.steps.items()},
        reused=tuple(space.reused),
        request=request,
        in_float=quantized.placement.in_float if quantized else {},
        benchmarks=() if isinstance(timed, Absent) else (timed,),
        engine_layers=measured.layers if measured else (),
        baseline=decisions.baseline,
    )


def _warn_of_little(run: Run) -> None:
    share = int8_share(run.layers)
    if share < LITTLE:
        progress.warn(
            f"only {share:.0%} of the work runs in INT8", "leave less in float, or build with --precision fp16"
        )


def _method(request: Request, quantized: Quantized | None) -> str:
    """Name what chose the ranges."""
    if request.calibrator:
        return BASES[request.calibrator]
    return quantized.table.method if quantized else request.method
