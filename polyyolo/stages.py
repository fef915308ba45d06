"""The steps of a run: each does its work in the workspace, or takes what is still valid from before."""

import os
from pathlib import Path

from attrs import evolve, frozen

from polyyolo import fidelity, progress
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.decisions import CACHE, ENGINE, Decisions
from polyyolo.engines.build import build
from polyyolo.errors import ModelError
from polyyolo.feeding import Calibration, keep
from polyyolo.models.half import read_half
from polyyolo.passes.apply import Step, apply
from polyyolo.quantization.cache_exchange import Header, export_cache
from polyyolo.quantization.lint.run import has_computed_numbers
from polyyolo.quantization.quantize import cast_to_half
from polyyolo.quantizing import INT8, Quantized
from polyyolo.records import BuildPlan, Command, Engine, Fidelity, ModelSpec
from polyyolo.verification.inference import refuse_changed
from polyyolo.workspace import Workspace

PREPARED, HALF = "model.onnx", "model.fp16.onnx"
LOG = "build.log"
FASTER = tuple(
    map(Step, ("merge-decode", "turn-late", "fuse-dfl", "join-siblings", "read-whole", "pool-first", "odd-kernel"))
)
"""What makes the decode and the graph before it faster in TensorRT, and gives the same boxes."""


@frozen
class Built:
    """What is kept of a build, beside the file itself."""

    sha256: str
    size_bytes: int
    seconds: float


def prepare(space: Workspace, decisions: Decisions) -> ModelSpec:
    """Simplify the graph and its decode; a model that came with Q/DQ nodes is left as it is.

    But for constants that its scales and zero-points are computed from: TensorRT 8.6 does not take those.

    Where the profile leaves pictures one size, an open size is fixed first: grids are constants then, and one decode
    does for all maps.
    """
    output = space.path(PREPARED)
    spec, size = decisions.spec, _only_size(decisions)
    fix = [Step("shape", {"size": size})] if size else []

    def make() -> ModelSpec:
        made = simplified()
        refuse_changed(spec)
        return made

    def simplified() -> ModelSpec:
        if spec.quantized:
            return apply(spec, [Step("fold-constants")] if has_computed_numbers(spec) else [], output)
        try:
            return apply(spec, [*fix, Step("simplify"), *FASTER], output)
        except ModelError as error:
            progress.warn(f"{error.message}: constants are folded instead", "the engine may be slower")
            return apply(spec, [Step("fold-constants"), *FASTER], output)

    inputs = {"model": spec.sha256, "head": spec.head, "size": size, "passes": [each.name for each in FASTER]}
    made = space.step("prepare", inputs, [PREPARED], make, ModelSpec)
    return evolve(made, path=output, head=spec.head)


def _only_size(decisions: Decisions) -> tuple[int, int] | None:
    """Give the height and width of all pictures, in pixels, where the profile fixes what the model leaves open."""
    spec = decisions.spec
    is_open = any(isinstance(side, str) for side in spec.image_input.dims[2:])
    ranges = [shapes[spec.image] for shapes in decisions.profile.optimizations]
    sizes = {(height, width) for each in ranges for *_, height, width in (each.min, each.opt, each.max)}
    return sizes.pop() if is_open and len(sizes) == 1 else None


def write_cache(
    space: Workspace,
    decisions: Decisions,
    prepared: ModelSpec,
    quantized: Quantized,
) -> CacheManifest:
    """Write the scales as a calibration cache; the Q/DQ model of the same scales only predicts what they cost."""
    reader = decisions.cache_reader

    def make() -> CacheManifest:
        return export_cache(quantized.table, prepared, quantized.placement, space.path(CACHE), Header(reader))

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
    """Cast to FP16 what is not INT8, where types in the graph decide, or to see what FP16 costs."""
    if decisions.request.half_io and not decisions.casts:
        progress.note("--half-io: without effect, since what is built stays in FP32 or came with its types")
    if not (decisions.casts or decisions.foretells_half):
        return spec
    half_io = decisions.request.half_io
    output = space.path(HALF)
    made = space.step(
        "cast to FP16",
        {"model": spec.sha256, "head": spec.head, "history": spec.history, "half_io": half_io},
        [HALF],
        lambda: cast_to_half(spec, output, half_io=half_io),
        ModelSpec,
    )
    return evolve(made, path=output)


def build_engine(
    space: Workspace, decisions: Decisions, built: ModelSpec, cache: CacheManifest | None
) -> tuple[BuildPlan | None, Engine | None]:
    """Build the engine where something here can; TensorRT's own calibrator leaves its cache beside it.

    Args:
        space: of the run.
        decisions: what to build with.
        built: the ONNX.
        cache: of the scales that were written for it; None where there are none, or where TensorRT calibrates.

    Returns:
        The plan and the engine, with the paths that they will have when the run is done; None where nothing builds.
    """
    half = read_half(built.path)
    scales = (space.path(CACHE), decisions.folder / CACHE) if decisions.calibrates else (None, None)
    feed, chosen = decisions.feed(space.path(CACHE)), decisions.calibration
    in_float = cache.float_layers if cache else ()
    plan = decisions.plan(built, space.path(ENGINE), half, scales[0], in_float)
    shown = decisions.plan(published(built, decisions.folder), decisions.folder / ENGINE, half, scales[1], in_float)
    if plan is None or shown is None:
        return None, None

    def make() -> Built:
        made = build(plan, space.path(LOG))
        if feed and chosen:
            keep(Calibration(feed, chosen), built, space.path(CACHE))
        return Built(made.sha256, made.size_bytes, made.build_seconds)

    inputs: dict[str, object] = {
        "model": built.sha256,
        "cache": cache,
        "command": _below(decisions.folder, shown.command),
        "toolchain": decisions.toolchain,
    }
    written = [ENGINE, LOG]
    if feed:
        inputs["pictures"] = chosen
        written += [CACHE, f"{CACHE}.json"]
    made = space.step("build", inputs, written, make, Built)
    return shown, Engine(shown.engine, made.sha256, made.size_bytes, made.seconds, shown)


def _below(folder: Path, command: Command) -> tuple[object, ...]:
    """Spell a command without the run's folder, which may be called otherwise the next time."""
    prefix = f"{folder}{os.sep}"
    return tuple(word.replace(prefix, "") for word in (*command.argv, *command.env, *command.env.values()))


def published(spec: ModelSpec, folder: Path) -> ModelSpec:
    """Give the spec with the path that its file will have when the run is done."""
    return evolve(spec, path=folder / spec.path.name)


def compare(space: Workspace, decisions: Decisions, built: ModelSpec) -> Fidelity | None:
    """Compare with the model as it was given, so that what preparing it broke would show too."""
    if not decisions.compared_on or decisions.spec.quantized:
        return None
    titles = ("FP32", decisions.request.precision.name)
    return fidelity.compare(space, "verify", decisions, decisions.spec, built, titles=titles)
