"""What a verification came to, in a screenful or as plain data for scripts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from polyyolo.files import plain
from polyyolo.records import Accuracy, Fidelity, Verification
from polyyolo.wording import counted

ALL_CLASSES, FEW_CLASSES = 20, 8
"""So many classes are told one by one; of more, the few that lost or reach the least."""


def as_text(found: Verification, folder: Path) -> str:
    """Tell the verdict, each check, and what was measured."""
    return "\n".join(_lines(found, folder))


def as_plain(found: Verification, folder: Path, warnings: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Give what scripts ask for; verification.json has all the rest."""
    fidelity = found.fidelity
    return {
        "outcome": found.verdict.outcome.value,
        "checks": plain(found.verdict.checks),
        "folder": str(folder),
        "model": str(found.model),
        "against": str(found.against) if found.against else None,
        "pictures": found.pictures,
        "accuracy": plain(found.accuracy),
        "reference_accuracy": plain(fidelity.reference) if fidelity else None,
        "drop_points": fidelity.drop_points if fidelity else None,
        "drop_error": fidelity.drop_error if fidelity else None,
        "agreement": {f"{each.iou:g}": each.f1 for each in fidelity.agreements} if fidelity else {},
        "signal_to_noise_db": dict(fidelity.signal_to_noise_db) if fidelity else {},
        "warnings": list(warnings),
    }


def _lines(found: Verification, folder: Path) -> Iterator[str]:
    against = f" against {found.against.name}" if found.against else ""
    yield f"{found.verdict.outcome.value}  {found.model.name}{against} on {counted(found.pictures, 'picture')}"
    width = max(len(check.name) for check in found.verdict.checks)
    for check in found.verdict.checks:
        yield f"  {check.outcome.value:<9} {check.name:<{width}}  {check.got} (wanted: {check.wanted})"
    if found.accuracy:
        yield from _accuracy(found.accuracy, found.fidelity.reference if found.fidelity else None)
    if found.fidelity:
        yield from _fidelity(found.fidelity)
    yield f"results: {folder / 'verification.json'}"


def _accuracy(accuracy: Accuracy, reference: Accuracy | None) -> Iterator[str]:
    """A line a figure; beside each what the FP32 model has."""
    figures = {"mAP50-95": accuracy.map50_95, "mAP50": accuracy.map50, **accuracy.per_size}
    before = {"mAP50-95": reference.map50_95, "mAP50": reference.map50, **reference.per_size} if reference else {}
    for name, value in figures.items():
        yield _figure(name, value, before.get(name))
    classes = accuracy.per_class
    earlier = reference.per_class if reference else {}
    chosen = list(classes)
    if len(classes) > ALL_CLASSES:
        chosen = sorted(classes, key=lambda name: classes[name] - earlier.get(name, 0.0))[:FEW_CLASSES]
        yield f"of {len(classes)} classes those that {'lost the most' if reference else 'have the least'}:"
    for name in chosen:
        yield _figure(name, classes[name], earlier.get(name))


def _figure(name: str, value: float, before: float | None) -> str:
    told = f" of {before:.4f}, {100 * (value - before):+.2f} points" if before is not None else ""
    return f"  {name:<16} {value:.4f}{told}"


def _fidelity(fidelity: Fidelity) -> Iterator[str]:
    for each in fidelity.agreements:
        counts = f"{each.matched} match of {each.reference_boxes} and {each.candidate_boxes}"
        yield f"  boxes at IoU {each.iou:g}: F1 {each.f1:.3f}, {counts}"
    for name, ratio in fidelity.signal_to_noise_db.items():
        yield f"  raw output {name}: {ratio:.1f} dB above its error"
