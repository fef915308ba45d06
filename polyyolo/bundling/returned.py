"""Read what came back from another machine, and put it into the run that it belongs to."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, frozen

from polyyolo import progress
from polyyolo.bundling.archive import read_sums
from polyyolo.bundling.benchmark import WHOLE, read_benchmark
from polyyolo.bundling.comparison import compare
from polyyolo.bundling.contents import (
    ENGINE,
    ENGINES,
    LAYER_TIMES,
    LAYERS,
    MANIFEST,
    MODELS,
    REFERENCE,
    RESULTS,
    SUMS,
    Bundle,
)
from polyyolo.bundling.forms import Form, Forms
from polyyolo.bundling.generations import plan_for
from polyyolo.bundling.notes import BuildNotes, read_build, read_notes
from polyyolo.calibration.cache_manifest import float_layers_of
from polyyolo.decisions import CACHE
from polyyolo.engine_layers.findings import findings
from polyyolo.engine_layers.reading import read_layers, read_profile
from polyyolo.engines.failures import fix_for, tail_of
from polyyolo.engines.running import KEPT_LINES
from polyyolo.engines.toolchain import named
from polyyolo.errors import InputError, ToolFailed
from polyyolo.files import read_json, sha256_of
from polyyolo.models.half import read_half
from polyyolo.models.spec import read_spec
from polyyolo.records import (
    Absent,
    Benchmark,
    Check,
    Engine,
    EngineLayer,
    Fidelity,
    Limits,
    Measured,
    Outcome,
    Route,
    Run,
    Verdict,
)
from polyyolo.records.measured import OTHER_ROUTE
from polyyolo.reports.accuracy_checks import accuracy, agreement
from polyyolo.reports.verdict import BUILT, IN_INT8, in_int8, judge_measured

BUILD_NOTES, FAILED, BUILD_LOG, BENCH_FAILED = "build.txt", "failed.txt", "build.log", "bench_failed.log"
MEASURE, AGAIN = "run bench.sh there after build.sh", "run build.sh there again, then bench.sh"
PICTURE_AXES = 4
NO_PICTURES = Absent("no pictures were packed")


@frozen
class Returned:
    """What came back.

    Attributes:
        engine: with the plan that it was built by there.
        benchmark: how fast it is there.
        layers: of the engine; empty where they cannot be read.
        fidelity: the engine's outputs against ONNX Runtime's INT8; None where no pictures were packed.
    """

    engine: Engine
    benchmark: Benchmark
    layers: tuple[EngineLayer, ...]
    fidelity: Fidelity | None


def read_back(folder: Path, run: Run) -> Returned:
    """Read the results in a bundle that came back.

    Args:
        folder: the bundle.
        run: the one that was packed.

    Raises:
        InputError: no bundle, one of another model or of an earlier run, no results, or damaged ones.
        ToolFailed: the build failed there.
    """
    bundle = _bundle(folder, run)
    _refuse_changed(folder)
    notes = _notes(folder)
    _refuse_foreign(folder, bundle, notes)
    _doubt(folder, notes)
    engine = _engine(folder, bundle, notes)
    return Returned(
        engine=engine,
        benchmark=read_benchmark(folder, bundle, engine),
        layers=_layers(folder / RESULTS),
        fidelity=compare(folder, bundle, run.source.head),
    )


def merged(run: Run, back: Returned) -> Run:
    """Put what came back into the run's record, in the place of what was known of another engine."""
    new = back.benchmark
    others = [each for each in run.benchmarks if each.sha256 == new.sha256 and each.shapes != new.shapes]
    limits = run.request.limits if run.request else Limits()
    known = (check for check in run.verdict.checks if check.name != IN_INT8)
    checks = {check.name: check for check in (*known, *_checks(back, run, limits))}
    return evolve(
        run,
        route=back.engine.plan.route,
        plan=back.engine.plan,
        engine=back.engine,
        benchmarks=(*others, new),
        engine_layers=back.layers,
        verdict=Verdict(tuple(checks.values())),
    )


def _predicted(run: Run, route: Route, limits: Limits) -> Iterator[Check]:
    """Judge what was predicted of the model that was packed; of an engine by another route than it is for, doubt it."""
    packed_for = run.request.route if run.request else run.route
    for check in (accuracy(run.fidelity, limits), agreement(run.fidelity, limits)):
        other = f"{OTHER_ROUTE}: by route {packed_for.value} {check.got}"
        yield check if route is packed_for else evolve(check, got=other, outcome=Outcome.UNPROVEN)


def _bundle(folder: Path, run: Run) -> Bundle:
    if not folder.is_dir():
        what = "is a file, not the folder of a bundle" if folder.exists() else "is not there"
        raise InputError(f"{folder} {what}", fix="unpack what came back, and name the folder that holds its results")
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder} is no bundle: it holds no {MANIFEST}", fix="name the folder that polyyolo bundle made"
        )
    bundle = read_json(folder / MANIFEST, Bundle)
    shape = bundle.shapes.get(bundle.image, ())
    if len(shape) != PICTURE_AXES or min(shape) < 1:
        raise InputError(
            f"{folder / MANIFEST} has no shape (N, C, H, W) of the input {bundle.image!r}: {dict(bundle.shapes)}",
            fix=WHOLE,
        )
    if bundle.model_sha256 != run.source.sha256:
        raise InputError(
            f"{folder} is a bundle of {bundle.model} ({bundle.model_sha256[:12]}), the run in {run.folder} is of "
            f"{run.source.path.name} ({run.source.sha256[:12]})",
            fix="name the run that was packed",
        )
    here = run.folder / bundle.weak
    if here.is_file() and sha256_of(here) != bundle.weak_sha256:
        raise InputError(
            f"{run.folder} was made again since {folder} was packed: {bundle.weak} is another model now",
            fix="pack it again, and build and measure that there",
        )
    return bundle


def _refuse_changed(folder: Path) -> None:
    """Refuse models and expected outputs that are not those that were packed: the engine would be blamed for it."""
    for name, wanted in read_sums(folder / SUMS).items():
        path = folder / name
        if Path(name).parts[:1] in {(MODELS,), (REFERENCE,)} and path.is_file() and sha256_of(path) != wanted:
            raise InputError(f"{path} is not what was packed: its SHA-256 differs", fix=WHOLE)


def _refuse_foreign(folder: Path, bundle: Bundle, notes: BuildNotes) -> None:
    """Refuse the results of another bundle: its engine was built from another model."""
    if notes.route not in bundle.routes:
        raise InputError(
            f"{folder} has results of the route {notes.route.value}, which its bundle does not have",
            fix="copy back the results of this bundle",
        )
    if notes.bundle and notes.bundle != sha256_of(folder / SUMS):
        raise InputError(
            f"{folder} has the results of another bundle: its engine was built from other files",
            fix="copy back the results of this bundle, or name the run and the folder of the other",
        )


def _notes(folder: Path) -> BuildNotes:
    """Read what bench.sh noted of the build whose engine it measured."""
    measured, failed, built = (
        folder / place for place in (f"{RESULTS}/{BUILD_NOTES}", f"{ENGINES}/{FAILED}", f"{ENGINES}/{BUILD_NOTES}")
    )
    if measured.is_file():
        return read_build(measured)
    if failed.is_file():
        notes = read_notes(failed)
        raise _failed(
            f"the build failed on the other machine: {_reason(notes)}", folder / ENGINES / BUILD_LOG, _status(notes)
        )
    log = folder / ENGINES / BENCH_FAILED
    if log.is_file():
        raise _failed("the engine was built on the other machine, and measuring it failed there", log)
    if built.is_file():
        raise InputError(
            f"{folder} holds no results: the engine was built there, but not measured",
            fix="on the machine that will run the engine: sh bench.sh",
        )
    raise InputError(
        f"{folder} holds no results", fix="on the machine that will run the engine: sh build.sh, then sh bench.sh"
    )


def _doubt(folder: Path, measured: BuildNotes) -> None:
    """Warn where ``build.sh`` ran again since: what was measured is the engine of before."""
    engine, noted = folder / ENGINE, folder / RESULTS / BUILD_NOTES
    built, failed = folder / ENGINES / BUILD_NOTES, folder / ENGINES / FAILED
    if failed.is_file():
        reason = _reason(read_notes(failed))
        progress.warn(f"a build failed there after the engine was measured: {reason}", AGAIN)
    if built.is_file() and read_notes(built) != read_notes(noted):
        now, before = _told(read_notes(built)), _told(read_notes(noted))
        progress.warn(f"{built} is of another engine ({now}) than the one that was measured ({before})", MEASURE)
    elif engine.is_file() and measured.sha256 and sha256_of(engine) != measured.sha256:
        progress.warn(f"{engine} is not the engine that was measured", MEASURE)


def _told(notes: Mapping[str, str]) -> str:
    """Name an engine by its notes, whatever of them is there."""
    return f"route {notes.get('route', '?')}, sha256 {notes.get('sha256', '')[:12] or '?'}"


def _reason(notes: Mapping[str, str]) -> str:
    return notes.get("message", "no reason was noted")


def _failed(message: str, log: Path, status: int = 1) -> ToolFailed:
    lines = _last_lines(log)
    return ToolFailed(message, fix=fix_for(lines), status=status, tail=tail_of(lines), log_path=log)


def _status(notes: Mapping[str, str]) -> int:
    try:
        return int(notes.get("status", ""))
    except ValueError:
        return 1


def _last_lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-KEPT_LINES:] if log.is_file() else []


def _engine(folder: Path, bundle: Bundle, notes: BuildNotes) -> Engine:
    path = folder / ENGINE
    plan = plan_for(_forms(folder, bundle), bundle.profile, notes.route, named(notes.release), ENGINE)
    return Engine(path, notes.sha256, notes.size_bytes, notes.seconds, plan)


def _forms(folder: Path, bundle: Bundle) -> Forms:
    weak, strong = (_form(folder, name) for name in (bundle.weak, bundle.strong))
    if not bundle.plain:
        return Forms(weak, strong)
    cache = folder / MODELS / CACHE
    return Forms(weak, strong, _form(folder, bundle.plain), cache, float_layers_of(cache))


def _form(folder: Path, name: str) -> Form:
    path = folder / MODELS / name
    return Form(read_spec(path), read_half(path))


def _layers(results: Path) -> tuple[EngineLayer, ...]:
    """Read the layers; an export that cannot be read costs the layers, not the measurement."""
    try:
        return findings(read_layers(results / LAYERS), read_profile(results / LAYER_TIMES)).layers
    except InputError as error:
        progress.warn(error.message, error.fix)
        return ()


def _checks(back: Returned, run: Run, limits: Limits) -> Iterator[Check]:
    engine = back.engine
    got = f"{engine.size_bytes / 1e6:.1f} MB in {engine.build_seconds:.0f} s on {back.benchmark.gpu}"
    yield Check(BUILT, "a plan file", got, Outcome.PASS)
    yield from in_int8(engine, back.layers)
    yield from _predicted(run, engine.plan.route, limits)
    measured = Measured(back.benchmark, back.fidelity or NO_PICTURES)
    yield from judge_measured(measured, limits, run.baseline)
