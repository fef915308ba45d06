"""One model, built in every way that can be, side by side."""

from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen

from polyyolo import files, pipeline, progress
from polyyolo.engines import toolchain
from polyyolo.engines.refusals import name_of
from polyyolo.errors import InputError, ModelError, PolyYoloError
from polyyolo.folders import refuse_foreign
from polyyolo.images import samples
from polyyolo.models import zoo
from polyyolo.models.spec import read_spec
from polyyolo.premises import OF_SCALES
from polyyolo.records import USUAL, ModelSpec, Precision, Request, Run
from polyyolo.records.comparison import Compared, Comparison
from polyyolo.reports import comparison as report
from polyyolo.variants.figures import against_reference, gather
from polyyolo.variants.known import CALIBRATED, NAMES, QDQ, VARIANTS, Variant, named

STEP = "variants"


def compare(request: Request, names: Sequence[str] = NAMES) -> Comparison:
    """Run every variant into a folder of its own, and write table and plot beside them.

    What the variants share is done once: the prepared model, and the calibration of both routes to INT8. A variant that
    cannot be built is a row with its reason.

    Args:
        request: what to ask of every variant; its precision and route are not looked at.
        names: of variants.

    Raises:
        PolyYoloError: not one variant can be had, or nothing can be written.
    """
    variants = named(names)
    spec = read_spec(zoo.locate(request.model), head=request.head)
    _refuse_quantized(spec)
    folder = request.output or Path("runs") / f"{Path(request.model).stem}-compare"
    with files.writable(folder):
        _refuse_foreign(folder, spec)
    images = request.images if request.images or request.labelled else samples.fetch()
    asked = evolve(request, images=images, for_both_routes=_calibrates_for_both(request, variants))
    with files.locked(folder), files.writable(folder), progress.without_repeats():
        done = [_done(asked, variant, folder) for variant in progress.track(variants, STEP, len(variants))]
        found = _gathered(Comparison(folder=folder, model=spec.path, sha256=spec.sha256), done)
        report.write(found)
    return found


@frozen
class Done:
    """What came of one variant: a run, or an error."""

    variant: Variant
    folder: Path
    run: Run | None = None
    error: PolyYoloError | None = None


def _done(asked: Request, variant: Variant, folder: Path) -> Done:
    place = folder / variant.name
    progress.note(f"{variant.name}:")
    lenders = [folder / other.name for other in VARIANTS if other is not variant]
    request = evolve(_asked_of(variant, asked), precision=variant.precision, route=variant.route, output=place)
    try:
        return Done(variant, place, run=pipeline.engine(request, lenders))
    except PolyYoloError as error:
        return Done(variant, place, error=error)


def _asked_of(variant: Variant, asked: Request) -> Request:
    """Ask what is about scales of INT8 alone: elsewhere it would be told to have no effect."""
    scaled = variant.precision is Precision.INT8
    return asked if scaled else evolve(asked, **{name: getattr(USUAL, name) for name in OF_SCALES})


def _gathered(empty: Comparison, done: Sequence[Done]) -> Comparison:
    """Put the variants side by side.

    Raises:
        PolyYoloError: there is no run among them; the first one's error.
    """
    runs = [each.run for each in done if each.run]
    raised = None if runs else done[0].error
    for each in done:
        if each.error and each.error.message != (raised and raised.message):
            progress.warn(f"{each.variant.name} cannot be had: {each.error.message}", each.error.fix)
    if raised:
        raise raised
    plans = [run.plan for run in runs if run.plan]
    timed = [benchmark for run in runs for benchmark in run.benchmarks]
    compared = [run.fidelity.pictures for run in runs if run.fidelity]
    return evolve(
        empty,
        toolchain=name_of(plans[0].toolchain) if plans else "",
        gpu=timed[0].gpu if timed else "",
        measured_by=timed[0].measured_by if timed else "",
        pictures=compared[0] if compared else 0,
        variants=against_reference(tuple(_row(each) for each in done)),
    )


def _row(done: Done) -> Compared:
    if done.run:
        return gather(done.variant, done.run)
    variant, error = done.variant, done.error
    assert error is not None  # noqa: S101 - a variant without a run ended in an error
    return Compared(
        name=variant.name,
        precision=variant.precision,
        route=variant.route,
        folder=done.folder,
        error=error.message,
        fix=error.fix,
        exit_code=error.exit_code,
    )


def _calibrates_for_both(request: Request, variants: Sequence[Variant]) -> bool:
    """Whether one calibration shall serve both routes to INT8; one that goes without a cache's needs less."""
    return {QDQ, CALIBRATED} <= set(variants) and toolchain.find(request.toolchain).has_calibrator


def _refuse_quantized(spec: ModelSpec) -> None:
    if spec.quantized:
        raise ModelError(
            f"{spec.path} already holds Q/DQ nodes: there is no FP32 model to compare with",
            fix="give the FP32 model; polyyolo engine builds this one as it is",
        )


def _refuse_foreign(folder: Path, spec: ModelSpec) -> None:
    """Refuse a folder that holds anything but a comparison of the same model, or the runs of one that was stopped.

    Raises:
        InputError: as above.
    """
    record = folder / report.RECORD
    if not record.exists():
        refuse_foreign(folder, "a comparison", NAMES)
        return
    try:
        earlier = files.read_json(record, Comparison)
    except InputError:
        progress.note(f"{record.name} cannot be read: it is written anew")
        return
    if earlier.sha256 != spec.sha256:
        raise InputError(
            f"{folder} compares another model, {earlier.model.name}", fix="choose a new or an empty folder with -o"
        )
