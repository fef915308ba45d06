"""The steps of a run: each does its work in the workspace, or takes what is still valid from before."""

from collections import Counter
from pathlib import Path

from attrs import evolve, frozen

from polyyolo import files, progress
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.calibration.table import calibrate as measure_ranges
from polyyolo.decisions import Decisions, digest_of
from polyyolo.engines.build import build
from polyyolo.engines.half import read_half
from polyyolo.errors import ModelError
from polyyolo.images.preview import contact_sheet
from polyyolo.images.stream import batches
from polyyolo.passes.apply import Step, apply
from polyyolo.quantization.cache_exchange import Header, export_cache, save
from polyyolo.quantization.cache_tensors import to_measure, typed_graph
from polyyolo.quantization.placement import FloatBudget, Placement
from polyyolo.quantization.quantize import cast_to_half, placement_of, quantize, refuse_unknown
from polyyolo.quantization.sensitivity import Trial, most_costly, sensitivities
from polyyolo.quantization.work import macs_of
from polyyolo.records import BuildPlan, CalibrationTable, Engine, Fidelity, ModelSpec, Sensitivity
from polyyolo.verification.agreement import typical, worst
from polyyolo.verification.compare import side_by_side
from polyyolo.verification.gauge import Gauge
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
TRIED = 8
"""Pictures that sensitivity is measured on; twice as many choose hardly better."""


@frozen
class Built:
    """What is kept of a build, beside the file itself."""

    sha256: str
    size_bytes: int
    seconds: float


@frozen
class Quantized:
    """A model with Q/DQ nodes and what decided them.

    Attributes:
        spec: its types are all FP32 still.
        sensitivities: what each tensor costs, where that was measured.
    """

    spec: ModelSpec
    table: CalibrationTable
    budget: FloatBudget
    placement: Placement
    sensitivities: tuple[Sensitivity, ...]


@frozen
class Measured:
    """What the sensitivity step keeps."""

    sensitivities: tuple[Sensitivity, ...]


def prepare(space: Workspace, decisions: Decisions) -> ModelSpec:
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


def quantize_model(space: Workspace, decisions: Decisions, prepared: ModelSpec) -> Quantized:
    """Calibrate, find what should stay in float, and put Q/DQ nodes around the rest.

    Raises:
        ModelError: nothing in the model could run in INT8.
    """
    refuse_unknown(prepared, decisions.named_float)
    size = decisions.preprocessing.size
    widest = FloatBudget(stem=0, names=decisions.named_float)
    table = _calibrate(space, decisions, prepared, placement_of(prepared, size, widest))
    found = _sensitivities(space, decisions, prepared, table) if decisions.spares("auto") else ()
    budget = evolve(
        widest,
        stem=decisions.request.budget if decisions.spares("stem") else 0,
        sensitive=most_costly(found, sum(macs_of(prepared, size).values()), decisions.request.budget),
    )
    placement = placement_of(prepared, size, budget)
    _refuse_nothing(decisions, placement)
    output = space.path(INT8)
    inputs = {"model": prepared.sha256, "table": table, "placement": placement}
    made = space.step("quantize", inputs, [INT8], lambda: quantize(prepared, table, placement, output), ModelSpec)
    return Quantized(evolve(made, path=output), table, budget, placement, found)


def _refuse_nothing(decisions: Decisions, placement: Placement) -> None:
    if not placement.nodes:
        raise ModelError(
            f"{decisions.spec.path} has nothing that could run in INT8: {_told(placement)}",
            fix="build it with --precision fp16, or leave less in float",
        )


def _told(placement: Placement) -> str:
    reasons = Counter(placement.in_float.values())
    counts = [f"{count} {reason}" for reason, count in reasons.items()]
    return "; ".join(counts) or "it holds no convolution or matrix product with weights"


def _calibrate(space: Workspace, decisions: Decisions, prepared: ModelSpec, placement: Placement) -> CalibrationTable:
    _refuse_nothing(decisions, placement)
    chosen = decisions.calibration
    assert chosen is not None  # noqa: S101 - decide() refuses INT8 without pictures
    method = decisions.request.method
    tensors = to_measure(typed_graph(prepared), placement) if decisions.calibrates else placement.observed

    def make() -> CalibrationTable:
        made = measure_ranges(prepared, chosen, tensors, method, space.path(HISTOGRAMS))
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


def _sensitivities(
    space: Workspace, decisions: Decisions, prepared: ModelSpec, table: CalibrationTable
) -> tuple[Sensitivity, ...]:
    """Measure on calibration pictures what each tensor costs; nothing where the model sees nothing on them."""
    chosen = decisions.calibration
    assert chosen is not None  # noqa: S101 - decide() refuses INT8 without pictures
    size = decisions.preprocessing.size
    whole = placement_of(prepared, size, FloatBudget(stem=0, names=decisions.named_float))

    def make() -> Measured:
        trial = Trial(prepared, Gauge(decisions.spec.head), batches(chosen), TRIED)
        if not trial.pictures:
            progress.warn(
                "the model sees nothing on the calibration pictures: what to keep in float cannot be measured",
                "calibrate with pictures of what it should find, or use --keep-float stem",
            )
            return Measured(())
        return Measured(sensitivities(trial, prepared, whole, table, macs_of(prepared, size)))

    inputs = {"model": prepared.sha256, "table": table, "head": decisions.spec.head, "placement": whole}
    return space.step("sensitivity", inputs, [], make, Measured).sensitivities


def write_cache(
    space: Workspace,
    decisions: Decisions,
    prepared: ModelSpec,
    quantized: Quantized,
) -> CacheManifest:
    """Write the scales as a calibration cache; the Q/DQ model of the same scales only predicts what they cost."""
    reader = decisions.cache_reader

    def make() -> CacheManifest:
        cache = export_cache(quantized.table, prepared, quantized.placement, Header(reader))
        return save(cache, space.path(CACHE), quantized.table, prepared)

    progress.note(
        f"{decisions.folder / CACHE} is for TensorRT {reader}; {INT8} has the same scales, and the engine loses that "
        "or a little more"
    )
    inputs = {
        "model": prepared.sha256,
        "table": quantized.table,
        "placement": quantized.placement,
        "tensorrt": reader,
    }
    return space.step("cache", inputs, [CACHE, f"{CACHE}.json"], make, CacheManifest)


def cast(space: Workspace, decisions: Decisions, spec: ModelSpec) -> ModelSpec:
    """Cast to FP16 what is not INT8, where types in the graph decide."""
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


def build_engine(
    space: Workspace, decisions: Decisions, built: ModelSpec, cache: CacheManifest | None
) -> tuple[BuildPlan | None, Engine | None]:
    """Build the engine where something here can."""
    half = read_half(built.path)
    scales = (space.path(CACHE), decisions.folder / CACHE) if cache else (None, None)
    plan = decisions.plan(built, space.path(ENGINE), half, scales[0])
    shown = decisions.plan(published(built, decisions.folder), decisions.folder / ENGINE, half, scales[1])
    if plan is None or shown is None:
        return None, None

    def make() -> Built:
        made = build(plan, space.path(LOG))
        return Built(made.sha256, made.size_bytes, made.build_seconds)

    inputs = {"model": built.sha256, "cache": cache, "command": shown.command, "toolchain": decisions.toolchain}
    made = space.step("build", inputs, [ENGINE, LOG], make, Built)
    return shown, Engine(shown.engine, made.sha256, made.size_bytes, made.seconds, shown)


def published(spec: ModelSpec, folder: Path) -> ModelSpec:
    """Give the spec with the path that its file will have when the run is done."""
    return evolve(spec, path=folder / spec.path.name)


def compare(space: Workspace, decisions: Decisions, built: ModelSpec) -> Fidelity | None:
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
