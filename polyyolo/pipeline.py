"""The sentence that polyyolo is: a model and pictures in, an engine and its proof out."""

import json
from collections import Counter
from pathlib import Path

from attrs import evolve, frozen

from polyyolo import files, progress
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.calibration.table import calibrate
from polyyolo.decisions import Decisions, decide, digest_of
from polyyolo.engines.build import build
from polyyolo.engines.half import read_half
from polyyolo.errors import ModelError
from polyyolo.images.preview import contact_sheet
from polyyolo.passes.apply import Step, apply
from polyyolo.quantization.cache_exchange import Header, export_cache, save
from polyyolo.quantization.cache_tensors import to_measure, typed_graph
from polyyolo.quantization.placement import FloatBudget, Placement
from polyyolo.quantization.quantize import cast_to_half, placement_of, quantize
from polyyolo.records import BuildPlan, CalibrationTable, Engine, Fidelity, ModelSpec, Request, Run
from polyyolo.reports import manifest, markdown
from polyyolo.reports.verdict import judge
from polyyolo.verification.agreement import typical, worst
from polyyolo.verification.compare import side_by_side
from polyyolo.verification.layers import layers
from polyyolo.verification.pictures import write_pairs
from polyyolo.workspace import Workspace

PREPARED, INT8, HALF, ENGINE = "model.onnx", "model.int8.onnx", "model.fp16.onnx", "model.plan"
TABLE, CACHE, HISTOGRAMS, SHEET, PICTURES, LOG = (
    "calibration.json",
    "calibration.cache",
    "histograms.npz",
    "calibration.png",
    "pictures",
    "build.log",
)
WORST, TYPICAL = 6, 2
"""Pictures drawn side by side: those on which the models differ most, and some on which they differ as usual."""
REPORTS = ("report.json", "report.md", "manifest.json")


@frozen
class Built:
    """What is kept of a build, beside the file itself."""

    sha256: str
    size_bytes: int
    seconds: float


def engine(request: Request) -> Run:
    """Do all of it.

    Raises:
        PolyYoloError: whatever stops the run; results of earlier runs stay as they were.
    """
    decisions = decide(request)
    with Workspace.open(decisions.folder) as space:
        prepared = _prepare(space, decisions)
        placement = placement_of(prepared, decisions.preprocessing.size, _budget(request))
        table = _calibrated(space, decisions, prepared, placement) if decisions.quantizes else None
        judged = _typed(space, decisions, _quantized(space, prepared, placement, table))
        cache = _cache(space, decisions, prepared, placement, table) if table and decisions.calibrates else None
        built = prepared if cache else judged
        plan, made = _engine(space, decisions, built, cache)
        fidelity = _compared(space, decisions, judged)
        run = Run(
            folder=decisions.folder,
            source=decisions.spec,
            licence=decisions.licence,
            built=_published(built, decisions.folder),
            profile=decisions.profile,
            precision=request.precision,
            route=request.route,
            preprocessing=decisions.preprocessing,
            calibration=decisions.calibration if decisions.quantizes else None,
            method=request.method,
            plan=plan,
            engine=made,
            fidelity=fidelity,
            layers=layers(built, decisions.preprocessing.size, _budget(request)),
            verdict=judge(made, fidelity, request.limits),
            pictures=tuple(
                name for entry in space.steps.values() for name in entry.outputs if name.endswith((".png", ".jpg"))
            ),
            seconds={name: entry.seconds for name, entry in space.steps.items()},
            reused=tuple(space.reused),
        )
        files.write_text(space.path("report.md"), markdown.render(run))
        files.write_json(space.path("report.json"), run)
        files.write_text(
            space.path("manifest.json"), json.dumps(manifest.of(run, decisions.toolchain), indent=2) + "\n"
        )
        space.publish(*REPORTS)
    return run


def _budget(request: Request) -> FloatBudget:
    return FloatBudget(stem=request.stem_budget, names=request.keep_float)


def _prepare(space: Workspace, decisions: Decisions) -> ModelSpec:
    """Simplify the graph; a model that came with Q/DQ nodes is left as it is."""
    output = space.path(PREPARED)
    spec = decisions.spec

    def make() -> ModelSpec:
        if spec.quantized:
            return apply(spec, [], output)
        try:
            return apply(spec, [Step("simplify")], output)
        except ModelError as error:
            progress.warn(f"{error.message}: constants are folded instead", "the engine may be slower")
            return apply(spec, [Step("fold-constants")], output)

    made = space.step("prepare", {"model": spec.sha256, "head": spec.head}, [PREPARED], make, ModelSpec)
    return evolve(made, path=output, head=spec.head)


def _quantized(
    space: Workspace, prepared: ModelSpec, placement: Placement, table: CalibrationTable | None
) -> ModelSpec:
    if table is None:
        return prepared
    output = space.path(INT8)
    inputs = {"model": prepared.sha256, "table": table, "placement": placement}
    made = space.step("quantize", inputs, [INT8], lambda: quantize(prepared, table, placement, output), ModelSpec)
    return evolve(made, path=output)


def _told(placement: Placement) -> str:
    reasons = Counter(placement.in_float.values())
    counts = [f"{count} {reason}" for reason, count in reasons.items()]
    return "; ".join(counts) or "it holds no convolution or matrix product with weights"


def _calibrated(space: Workspace, decisions: Decisions, prepared: ModelSpec, placement: Placement) -> CalibrationTable:
    if not placement.nodes:
        raise ModelError(
            f"{decisions.spec.path} has nothing that could run in INT8: {_told(placement)}",
            fix="build it with --precision fp16, or leave less in float",
        )
    chosen = decisions.calibration
    assert chosen is not None  # noqa: S101 - decide() refuses INT8 without pictures
    method = decisions.request.method
    tensors = to_measure(typed_graph(prepared), placement) if decisions.calibrates else placement.observed

    def make() -> CalibrationTable:
        made = calibrate(prepared, chosen, tensors, method, space.path(HISTOGRAMS))
        files.write_json(space.path(TABLE), made)
        contact_sheet(chosen, space.path(SHEET))
        return made

    inputs = {
        "model": prepared.sha256,
        "set": chosen.sha256,
        "batch": chosen.batch,
        "preprocessing": chosen.preprocessing,
        "tensors": tensors,
        "method": method,
    }
    return space.step("calibrate", inputs, [TABLE, HISTOGRAMS, SHEET], make, CalibrationTable)


def _cache(
    space: Workspace,
    decisions: Decisions,
    prepared: ModelSpec,
    placement: Placement,
    table: CalibrationTable,
) -> CacheManifest:
    """Write the scales as a calibration cache; the Q/DQ model of the same scales only predicts what they cost."""
    reader = decisions.cache_reader

    def make() -> CacheManifest:
        cache = export_cache(table, prepared, placement, Header(reader))
        return save(cache, space.path(CACHE), table, prepared)

    progress.note(
        f"{decisions.folder / CACHE} is for TensorRT {reader}; {INT8} has the same scales and predicts its cost"
    )
    inputs = {"model": prepared.sha256, "table": table, "placement": placement, "tensorrt": reader}
    return space.step("cache", inputs, [CACHE, f"{CACHE}.json"], make, CacheManifest)


def _typed(space: Workspace, decisions: Decisions, spec: ModelSpec) -> ModelSpec:
    if not decisions.casts:
        return spec
    half_io = decisions.request.half_io
    output = space.path(HALF)
    made = space.step(
        "cast to FP16",
        {"model": spec.sha256, "half_io": half_io},
        [HALF],
        lambda: cast_to_half(spec, output, half_io=half_io),
        ModelSpec,
    )
    return evolve(made, path=output)


def _engine(
    space: Workspace, decisions: Decisions, built: ModelSpec, cache: CacheManifest | None
) -> tuple[BuildPlan | None, Engine | None]:
    half = read_half(built.path)
    scales = (space.path(CACHE), decisions.folder / CACHE) if cache else (None, None)
    plan = decisions.plan(built, space.path(ENGINE), half, scales[0])
    shown = decisions.plan(_published(built, decisions.folder), decisions.folder / ENGINE, half, scales[1])
    if plan is None or shown is None:
        return None, None

    def make() -> Built:
        made = build(plan, space.path(LOG))
        return Built(made.sha256, made.size_bytes, made.build_seconds)

    inputs = {"model": built.sha256, "cache": cache, "command": shown.command, "toolchain": decisions.toolchain}
    made = space.step("build", inputs, [ENGINE, LOG], make, Built)
    return shown, Engine(shown.engine, made.sha256, made.size_bytes, made.seconds, shown)


def _published(spec: ModelSpec, folder: Path) -> ModelSpec:
    """Give the spec with the path that its file will have when the run is done."""
    return evolve(spec, path=folder / spec.path.name)


def _compared(space: Workspace, decisions: Decisions, built: ModelSpec) -> Fidelity | None:
    """Compare with the model as it was given, so that what preparing it broke would show too."""
    pictures = decisions.compared_on
    if not pictures or decisions.spec.quantized:
        return None

    def make() -> Fidelity:
        found = side_by_side(
            decisions.spec,
            built,
            decisions.preprocessing,
            pictures=decisions.held,
            labelled=decisions.labelled,
            held_out=decisions.held_out,
        )
        shown = list(dict.fromkeys([*worst(found.pairs, WORST), *typical(found.pairs, TYPICAL)]))
        write_pairs(
            shown, decisions.spec.names, space.path(PICTURES), titles=("FP32", decisions.request.precision.name)
        )
        return found.fidelity

    inputs = {
        "reference": decisions.spec.sha256,
        "candidate": built.sha256,
        "head": decisions.spec.head,
        "preprocessing": decisions.preprocessing,
        "pictures": digest_of(pictures, decisions.labelled),
    }
    return space.step("verify", inputs, [PICTURES], make, Fidelity)
