"""A model or an engine measured by itself: read and refuse, look, judge, write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from polyyolo import files, progress
from polyyolo.benchmarking import keeping
from polyyolo.benchmarking.baseline import baseline_in, engines_of, read_benchmarks
from polyyolo.benchmarking.bench import BenchRequest, bench
from polyyolo.benchmarking.meters import NoMeterError
from polyyolo.errors import InputError, ModelError
from polyyolo.files import refuse_file
from polyyolo.folders import refuse_foreign
from polyyolo.images.sources import find_pictures
from polyyolo.picture_sets import was_held_out
from polyyolo.premises import check_speedup
from polyyolo.records import Accuracy, Benchmark, Fidelity, HeadKind, Limits, ModelSpec, Preprocessing, Verification
from polyyolo.reports.verdict import judge_model
from polyyolo.verification.accuracy import measure
from polyyolo.verification.compare import side_by_side
from polyyolo.verification.engine_session import engine_of, refuse_without_gpu
from polyyolo.verification.labelled import Labelled, read_labelled, usable_pictures
from polyyolo.verification.ledger import Ledger
from polyyolo.verification.shown import draw_shown
from polyyolo.verification.sightings import Kept
from polyyolo.verification.subject import Subject, read_subject, tell_of_unused

RESULT, LEDGER, PICTURES = "verification.json", "seen.sqlite", "disagreements"
OURS = (RESULT, LEDGER, f"{LEDGER}-journal", PICTURES, keeping.FILE, keeping.LOG)
"""All that a folder of results holds; SQLite's journal is left there by a run that was killed."""


@frozen
class VerifyRequest:
    """What is asked of ``polyyolo verify``; its options' help says what each is."""

    model: str
    labelled: Path | None
    images: Path | None
    against: str | None
    onnx: str | None
    head: HeadKind | None
    size: tuple[int, int] | None
    overrides: Mapping[str, Any]
    limits: Limits
    benchmark: Path | None
    baseline: Path | None
    folder: Path


@frozen
class Premises:
    """All that was read before anything is run."""

    candidate: Subject
    reference: Subject | None
    preprocessing: Preprocessing
    labelled: Labelled | None
    pictures: tuple[Path, ...]
    held_out: bool
    benchmarks: tuple[Benchmark, ...]
    baseline: tuple[Benchmark, ...]


def verify(request: VerifyRequest) -> Verification:
    """Do all of it.

    Raises:
        InputError: the model, the pictures, the labels or a benchmark cannot be used.
        ToolchainError: an engine cannot be run here, or the disk is full.
    """
    premises = _premises(request)
    folder = request.folder
    with files.locked(folder), files.writable(folder):
        benchmarks = premises.benchmarks or benchmarks_here(premises.candidate, request.limits, folder)
        with Ledger(folder / LEDGER) as kept:
            accuracy, fidelity = _measured(premises, folder, kept)
        verification = Verification(
            model=premises.candidate.spec.path,
            sha256=premises.candidate.spec.sha256,
            is_engine=premises.candidate.is_engine,
            against=premises.reference.spec.path if premises.reference else None,
            preprocessing=premises.preprocessing,
            pictures=len(premises.pictures),
            accuracy=accuracy,
            fidelity=fidelity,
            benchmarks=benchmarks,
            baseline=premises.baseline,
            verdict=judge_model(fidelity, request.limits, benchmarks, premises.baseline),
        )
        files.write_json(folder / RESULT, verification)
    return verification


def _premises(request: VerifyRequest) -> Premises:
    """Read and refuse; nothing is written, and no model is run."""
    check_speedup(request.limits, request.baseline)
    refuse_file(request.folder)
    refuse_foreign(request.folder, "a verification", OURS)
    if not request.labelled and not (request.against and request.images):
        raise InputError(
            "there is nothing to measure on" + (" or to compare with" if request.images else ""),
            fix="give labelled pictures with --labelled, or pictures with --images and another model with --against",
        )
    candidate = read_subject(request.model, onnx=request.onnx, otherwise=request.against, head=request.head)
    reference = read_subject(request.against, onnx=request.onnx, head=request.head) if request.against else None
    tell_of_unused(request.onnx, *filter(None, (candidate, reference)))
    for engine in filter(None, (engine_of(each.spec.path) for each in (candidate, reference) if each)):
        refuse_without_gpu(engine)
    preprocessing = candidate.preprocessing(request.size, **request.overrides)
    if reference:
        _refuse_unlike(candidate.spec, reference.spec, preprocessing.size)
    benchmarks = _benchmarks_for(candidate, request.benchmark)
    baseline = baseline_in(request.baseline, candidate.hashes) if request.baseline else ()
    labelled, pictures = _pictures(request, candidate.spec)
    calibration = candidate.run.calibration if candidate.run and reference else None
    held_out = was_held_out(calibration, pictures)
    return Premises(candidate, reference, preprocessing, labelled, pictures, held_out, benchmarks, baseline)


def _pictures(request: VerifyRequest, spec: ModelSpec) -> tuple[Labelled | None, tuple[Path, ...]]:
    """Find the pictures that can be used, with their labels where there are some."""
    if request.labelled:
        labelled = read_labelled(request.labelled, spec.names, classes=spec.head.classes, images=request.images)
        return labelled, labelled.pictures
    source = Path(str(request.images))
    return None, usable_pictures(source, find_pictures(source, split="val"))


def _measured(premises: Premises, folder: Path, kept: Kept) -> tuple[Accuracy | None, Fidelity | None]:
    candidate, reference = premises.candidate, premises.reference
    if reference is None:
        labelled = premises.labelled
        return (measure(candidate.spec, premises.preprocessing, labelled, kept), None) if labelled else (None, None)
    found = side_by_side(
        reference.spec,
        candidate.spec,
        premises.preprocessing,
        pictures=premises.pictures,
        labelled=premises.labelled,
        held_out=premises.held_out,
        kept=kept,
    )
    for earlier in (folder / PICTURES).glob("[0-9][0-9]-*.jpg"):
        files.remove(earlier)
    titles = (reference.spec.path.stem, candidate.spec.path.stem)
    shown = draw_shown(found.pairs, candidate.spec.names, folder / PICTURES, titles=titles)
    fidelity = evolve(found.fidelity, shown=shown)
    return fidelity.candidate, fidelity


def _benchmarks_for(subject: Subject, path: Path | None) -> tuple[Benchmark, ...]:
    """Give what was measured of an engine, or of the engine that an ONNX's run built.

    Args:
        subject: what is verified.
        path: what ``polyyolo bench`` wrote or printed with ``--json``; None takes what lies beside the engine.

    Raises:
        InputError: the file holds no benchmark of it.
    """
    if path is None:
        engine = subject.engine
        return keeping.benchmarks_of(engine) if engine else ()
    found = read_benchmarks(path)
    ours = tuple(each for each in found if each.sha256 in subject.hashes)
    if not ours:
        raise InputError(
            f"{path} tells how fast {engines_of(found)} was, which is not {subject.spec.path}, nor built from it by "
            "its run",
            fix="measure this engine with polyyolo bench, or verify the one that was measured",
        )
    return ours


def benchmarks_here(subject: Subject, limits: Limits, folder: Path) -> tuple[Benchmark, ...]:
    """Measure an engine where a limit on speed asks for it, at the shapes that it is best at, and keep the result.

    Args:
        subject: what is verified; an ONNX has no speed.
        limits: what is asked.
        folder: of the results; what an earlier verification measured there is taken as it is.

    Raises:
        InputError: the engine is damaged.
        ToolchainError: this machine cannot run it.
        ToolFailed: trtexec failed.
    """
    if not subject.is_engine or (limits.max_latency_ms is None and limits.min_speedup is None):
        return ()
    earlier = keeping.benchmarks_of(subject.spec.path, folder)
    if earlier:
        return earlier
    try:
        found = tuple(bench(subject.spec.path, BenchRequest(), folder / keeping.LOG))
    except NoMeterError as error:
        progress.warn(error.message, error.fix)
        return ()
    for each in found:
        keeping.keep(each, folder / keeping.FILE)
    return found


def _refuse_unlike(candidate: ModelSpec, reference: ModelSpec, size: tuple[int, int]) -> None:
    """Refuse models that cannot be given the same tensors.

    Raises:
        ModelError: their inputs differ in size, channels, or in whether they take raw bytes; or the reference does not
            take pictures of ``size``.
    """
    ours, theirs = candidate.image_input, reference.image_input
    both = zip(ours.dims[1:], theirs.dims[1:], strict=True)
    same_bytes = (ours.dtype == "uint8") == (theirs.dtype == "uint8")
    if not same_bytes or any(isinstance(one, int) and isinstance(other, int) and one != other for one, other in both):
        raise ModelError(
            f"{candidate.path.name} takes {ours.dtype} {ours.dims}, and {reference.path.name} {theirs.dtype} "
            f"{theirs.dims}: they cannot be given the same pictures",
            fix="compare a model with the one that it was made from, of the same input",
        )
    sides = reference.image_input.dims[2:]
    if any(isinstance(side, int) and side != wanted for side, wanted in zip(sides, size, strict=True)):
        raise ModelError(
            f"{reference.path.name} takes pictures of {sides[0]}x{sides[1]}, not {size[0]}x{size[1]}",
            fix=f"give --size {sides[0]} {sides[1]}, or compare with a model that takes others",
        )
    if candidate.names and reference.names and candidate.names != reference.names:
        progress.warn(
            f"{candidate.path.name} and {reference.path.name} do not name their classes alike",
            "they are matched by order",
        )
