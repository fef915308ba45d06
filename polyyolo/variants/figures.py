"""From a run to a line of the table: what was measured, and for each figure that was not, why."""

from attrs import asdict, evolve

from polyyolo.records import Outcome, Run
from polyyolo.records.comparison import Compared, Figures
from polyyolo.reports.accuracy_checks import ACCURACY, AGREEMENT, strict
from polyyolo.variants.known import REFERENCE, Variant

BUILT, SPEED, LOST = ("engine_bytes", "build_seconds"), ("latency_ms", "images_per_s"), ("map50_95", "drop_points")
CHECKS = {
    **dict.fromkeys(BUILT, "engine built"),
    **dict.fromkeys(SPEED, "speed"),
    **dict.fromkeys(LOST, ACCURACY),
    "agreement_f1": AGREEMENT,
}
"""Which check of the verdict tells why a figure is not there."""


def gather(variant: Variant, run: Run) -> Compared:
    """Read a run's figures; the speed-up comes with ``against_reference``."""
    figures = _figures(run)
    got = {check.name: check.got for check in run.verdict.checks}
    absent = [name for name in CHECKS if asdict(figures)[name] is None]
    return Compared(
        name=variant.name,
        precision=variant.precision,
        route=variant.route,
        folder=run.folder,
        figures=figures,
        outcome=run.verdict.outcome,
        unproven={name: got.get(CHECKS[name], "it was not measured") for name in absent},
    )


def against_reference(rows: tuple[Compared, ...]) -> tuple[Compared, ...]:
    """Add each variant's speed-up, as far as it and FP32 were measured."""
    base = next((row.figures.images_per_s for row in rows if row.name == REFERENCE.name), None)
    return tuple(_with_speed_up(row, base) for row in rows)


def _with_speed_up(row: Compared, base: float | None) -> Compared:
    own = row.figures.images_per_s
    if own and base:
        return evolve(row, figures=evolve(row.figures, speed_up=own / base))
    if row.error:
        return row
    why = row.unproven.get("images_per_s", f"{REFERENCE.name} was not measured")
    return evolve(row, unproven={**row.unproven, "speed_up": why})


def _figures(run: Run) -> Figures:
    engine, fidelity = run.engine, run.fidelity
    timed = run.benchmarks[0] if run.benchmarks else None
    found = strict(fidelity)
    told = {check.name: check.outcome for check in run.verdict.checks}
    seen = found if told.get(AGREEMENT) is not Outcome.UNPROVEN else None
    accuracy = fidelity.candidate if fidelity else None
    return Figures(
        engine_bytes=engine.size_bytes if engine else None,
        build_seconds=engine.build_seconds if engine else None,
        latency_ms=timed.gpu_compute.median_ms if timed else None,
        images_per_s=timed.images_per_s if timed else None,
        map50_95=accuracy.map50_95 if accuracy else None,
        drop_points=fidelity.drop_points if fidelity else None,
        drop_error=fidelity.drop_error if fidelity else None,
        agreement_f1=seen.f1 if seen else None,
    )
