"""What a run came to, in a screenful or as plain data for scripts."""

from collections.abc import Sequence
from typing import Any

from polyyolo.files import plain
from polyyolo.records import Run
from polyyolo.reports.advice import advise, answer


def as_text(run: Run) -> str:
    """Tell the verdict, each check and where the results are."""
    lines = [
        verdict_of(run),
        f"engine: {run.engine.path}" if run.engine else f"prepared ONNX: {run.built.path}",
        f"report: {run.folder / 'report.html'}",
    ]
    return "\n".join(lines)


def headline(run: Run) -> str:
    """Tell the verdict alone."""
    return f"{run.verdict.outcome.value}  {run.source.path.name} as {run.precision.value}"


def verdict_of(run: Run) -> str:
    """Tell the verdict, each check and what to do next."""
    width = max(len(check.name) for check in run.verdict.checks)
    lines = [
        headline(run),
        *(f"  {check.outcome.value:<9} {check.name:<{width}}  {check.got}" for check in run.verdict.checks),
        *_steps(run),
    ]
    return "\n".join(lines)


def _steps(run: Run) -> list[str]:
    """Say what to do next, with the command below each step that has one."""
    steps = advise(run)
    lines = [answer(run)] if steps else []
    for number, step in enumerate(steps, 1):
        lines += [f"  {number}. {step.what}", *([f"     {step.command}"] if step.command else [])]
    return lines


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
        "answer": answer(run),
        "advice": [{"checks": list(each.checks), "what": each.what, "command": each.command} for each in advise(run)],
    }
