"""The sentence that polyyolo is: a model and pictures in, an engine and its proof out."""

from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from polyyolo import measuring, progress, stages
from polyyolo.benchmarking import keeping
from polyyolo.decisions import Decisions, decide
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantizing import Quantized, quantize_model
from polyyolo.records import Absent, BuildPlan, Engine, Fidelity, Measured, ModelSpec, Request, Run
from polyyolo.reports import manifest, writing
from polyyolo.reports.verdict import judge
from polyyolo.verification.layers import layers
from polyyolo.workspace import Workspace


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
        with Workspace.open(decisions.folder, lenders) as space:
            prepared = stages.prepare(space, decisions)
            quantized = quantize_model(space, decisions, prepared) if decisions.quantizes else None
            judged = stages.cast(space, decisions, quantized.spec if quantized else prepared)
            cache = (
                stages.write_cache(space, decisions, prepared, quantized)
                if quantized and decisions.calibrates
                else None
            )
            built = prepared if cache or decisions.foretells_half else judged
            plan, made = stages.build_engine(space, decisions, built, cache)
            fidelity = stages.compare(space, decisions, judged)
            measured = measuring.measure(space, decisions, judged, made) if made else None
            gathered = _gathered(space, decisions, quantized, built, (plan, made, fidelity, measured))
            run = evolve(gathered, warnings=tuple(told.warnings))
            space.publish(*writing.write(run, space.path(""), manifest.of(run, decisions.toolchain)))
            writing.remove_stale(run)
            for benchmark in run.benchmarks:
                keeping.keep(benchmark, run.folder / keeping.FILE)
    return run


def _gathered(
    space: Workspace,
    decisions: Decisions,
    quantized: Quantized | None,
    built: ModelSpec,
    results: tuple[BuildPlan | None, Engine | None, Fidelity | None, Measured | None],
) -> Run:
    request = decisions.request
    plan, made, fidelity, measured = results
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
        method=quantized.table.method if quantized else request.method,
        plan=plan,
        engine=made,
        fidelity=fidelity,
        layers=layers(
            built,
            decisions.preprocessing.size,
            quantized.budget if quantized else FloatBudget(stem=0),
            planned=decisions.calibrates,
        ),
        sensitivities=quantized.sensitivities if quantized else (),
        verdict=judge(made, fidelity, request.limits, measured, decisions.baseline),
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
