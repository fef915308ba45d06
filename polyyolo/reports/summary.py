"""What a run came to, in a screenful or as plain data for scripts."""

from collections.abc import Sequence
from typing import Any

from polyyolo.files import plain
from polyyolo.records import Run


def as_text(run: Run) -> str:
    """Tell the verdict, each check and where the results are."""
    width = max(len(check.name) for check in run.verdict.checks)
    lines = [
        f"{run.verdict.outcome.value}  {run.source.path.name} as {run.precision.value}",
        *(f"  {check.outcome.value:<9} {check.name:<{width}}  {check.got}" for check in run.verdict.checks),
        f"engine: {run.engine.path}" if run.engine else f"prepared ONNX: {run.built.path}",
        f"report: {run.folder / 'report.md'}",
    ]
    return "\n".join(lines)


def as_plain(run: Run, warnings: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Give what scripts ask for; report.json has all the rest."""
    fidelity = run.fidelity
    return {
        "outcome": run.verdict.outcome.value,
        "checks": plain(run.verdict.checks),
        "folder": str(run.folder),
        "engine": str(run.engine.path) if run.engine else None,
        "onnx": str(run.built.path),
        "map50_95": fidelity.candidate.map50_95 if fidelity and fidelity.candidate else None,
        "drop_points": fidelity.drop_points if fidelity else None,
        "agreement": {f"{each.iou:g}": each.f1 for each in fidelity.agreements} if fidelity else {},
        "seconds": dict(run.seconds),
        "reused": list(run.reused),
        "warnings": list(warnings),
    }
