"""The figures that a page begins with, what was built, and how numbers are written."""

from attrs import frozen

from polyyolo.records import SAME_BOX, Outcome, Run
from polyyolo.reports.accuracy_checks import AGREEMENT, strict
from polyyolo.reports.markdown import built as rows

NOT_MEASURED = "not measured"


@frozen
class Tile:
    """One figure: what it is, its value, and what to hold it against."""

    name: str
    value: str
    note: str


def tiles(run: Run) -> list[Tile]:
    """The four figures that decide: accuracy, agreement, size, speed."""
    return [_accuracy(run), _agreement(run), _size(run), _speed(run)]


def built(run: Run) -> list[tuple[str, str]]:
    """What was built, from what, as rows of a table."""
    return [(name, str(value).replace("`", "")) for name, value in rows(run)]


def percent(share: float) -> str:
    """Write a share of 0 to 1 with one decimal, and never a small share as nothing."""
    return "under 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def megabytes(count: int) -> str:
    """Write a number of bytes in millions."""
    return f"{count / 1e6:.1f} MB"


def significant(value: float) -> str:
    """Write a duration with three significant digits."""
    return f"{value:#.3g}".rstrip(".")


def _accuracy(run: Run) -> Tile:
    found = run.fidelity
    if found is None or found.reference is None or found.candidate is None or found.drop_points is None:
        return Tile("mAP50-95", NOT_MEASURED, "no labelled pictures")
    sign = "\N{MINUS SIGN}" if found.drop_points > 0 else "+"
    note = f"{sign}{abs(found.drop_points):.2f} points of FP32's {found.reference.map50_95:.4f}"
    return Tile("mAP50-95", f"{found.candidate.map50_95:.4f}", note)


def _agreement(run: Run) -> Tile:
    found = strict(run.fidelity)
    if found is None or not found.reference_boxes + found.candidate_boxes:
        return Tile("Boxes as FP32", NOT_MEASURED, "nothing to compare")
    told = {check.name: check.outcome for check in run.verdict.checks}
    if told.get(AGREEMENT) is Outcome.UNPROVEN:
        boxes = max(found.reference_boxes, found.candidate_boxes)
        return Tile("Boxes as FP32", "too few boxes", f"{Outcome.UNPROVEN.value}: {found.f1:.1%} of {boxes:,}")
    return Tile("Boxes as FP32", f"{found.f1:.1%}", f"F1 at IoU {SAME_BOX:g}, {found.reference_boxes:,} boxes")


def _size(run: Run) -> Tile:
    if run.engine is None:
        return Tile("Engine", "not built", f"result: {run.built.path.name}")
    return Tile("Engine", megabytes(run.engine.size_bytes), f"built in {run.engine.build_seconds:.1f} s")


def _speed(run: Run) -> Tile:
    fastest = min(run.benchmarks, key=lambda each: each.batch, default=None)
    if fastest is None:
        return Tile("Latency", NOT_MEASURED, Outcome.UNPROVEN.value)
    median = significant(fastest.gpu_compute.median_ms)
    return Tile("Latency", f"{median} ms", f"median, batch {fastest.batch}; {fastest.images_per_s:,.0f} images/s")
