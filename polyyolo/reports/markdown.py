"""A run's report for people, as Markdown: the answer first, then what it rests on."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from polyyolo.engines.plan import shell_line
from polyyolo.records import Check, Fidelity, Run
from polyyolo.reports.advice import advise, answer
from polyyolo.reports.costs import costs
from polyyolo.reports.shares import reasons
from polyyolo.verification.layers import int8_share

MOST_COSTLY = 8
_ESCAPED = {"&": "&amp;", "<": "&lt;"}
_OUTSIDE = re.compile(r"(?<!\\)`[^`]*`|[&<]")


def render(run: Run) -> str:
    """Write the report; paths of pictures are relative to the run's folder."""
    parts = [
        f"# {_cell(run.source.path.stem)}: {run.verdict.outcome.value}",
        answer(run),
        table(("check", "wanted", "got", "outcome"), [_cells(each) for each in run.verdict.checks]),
        *_advice(run),
        *_warnings(run),
        "## What was built",
        table(("what", "value"), built(run)),
        *_commands(run),
        *_fidelity(run.fidelity),
        "## Layers",
        f"{int8_share(run.layers):.1%} of the multiply-accumulates run in INT8.",
        table(
            ("stays in float because", "layers", "share of the work"),
            [(each.name, each.layers, f"{each.share:.1%}") for each in reasons(run.layers)],
        ),
        *_costs(run),
        *_pictures(run),
        "## Steps",
        table(("step", "seconds", ""), _steps(run)),
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    """Write a text in one line, in which nothing ends a cell or is HTML's; what is in backquotes is shown as it is."""
    line = " ".join(str(value).split("\n"))
    return _OUTSIDE.sub(lambda found: _ESCAPED.get(found[0], found[0]), line).replace("|", "\\|")


def _cells(check: Check) -> tuple[str, ...]:
    return check.name, check.wanted, check.got, check.outcome.value


def built(run: Run) -> list[tuple[str, object]]:
    """Tell what was built, from what; names of files are in backquotes."""
    toolchain = run.plan.toolchain if run.plan else None
    chosen = run.calibration
    rows: list[tuple[str, object]] = [
        ("model", f"`{run.source.path.name}`, sha256 `{run.source.sha256[:12]}`"),
        ("licence", run.licence or "unknown"),
        ("head", f"{run.source.head.kind.value}, {run.source.head.classes} classes: {run.source.head.why}"),
        ("precision", f"{run.precision.value}, route {run.route.value}"),
        ("passes", "; ".join(run.built.history) or "none"),
        ("profile", f"{run.profile.name}: {_shapes(run)}"),
        ("preprocessing", _preprocessing(run)),
        ("engine", f"`{_name(run.engine.path, run)}`, {run.engine.size_bytes / 1e6:.1f} MB" if run.engine else "none"),
        ("toolchain", f"{toolchain.kind.value} {toolchain.tensorrt}" if toolchain else "none"),
    ]
    if chosen:
        used = chosen.batches * chosen.batch
        told = f"{used} of {chosen.found} pictures, {len(chosen.skipped)} skipped, seed {chosen.seed}, by {run.method}"
        rows.insert(6, ("calibration", told))
    return rows


def _name(path: Path, run: Run) -> str:
    """Name a file of the run, and one from elsewhere with its folder."""
    return path.name if path.parent == run.folder else str(path)


def _shapes(run: Run) -> str:
    return "; ".join(
        f"{name} " + " .. ".join("x".join(map(str, shape)) for shape in (shapes.min, shapes.opt, shapes.max))
        for inputs in run.profile.optimizations
        for name, shapes in inputs.items()
    )


def _preprocessing(run: Run) -> str:
    what = run.preprocessing
    height, width = what.size
    padding = f" with {what.pad}" if what.pads else ""
    return f"{what.fit}{padding} to {height}x{width} (height x width), {what.colour}, scale {what.scale:.6g}"


def _advice(run: Run) -> list[str]:
    steps = advise(run)
    told = [
        f"{number}. {step.what}" + (f"\n\n   ```sh\n   {step.command}\n   ```" if step.command else "")
        for number, step in enumerate(steps, 1)
    ]
    return ["## What to do", *told] if told else []


def _warnings(run: Run) -> list[str]:
    told = [f"- {_cell(each.message)}" + (f": {_cell(each.fix)}" if each.fix else "") for each in run.warnings]
    return ["## Warnings", "\n".join(told)] if told else []


def _commands(run: Run) -> list[str]:
    if run.plan is None:
        return []
    notes = "\n".join(f"- {note}" for note in run.plan.notes)
    return ["The command that builds it:", f"```sh\n{shell_line(run.plan.command)}\n```", *([notes] if notes else [])]


def _fidelity(found: Fidelity | None) -> list[str]:
    if found is None:
        return []
    kept = "kept out of the calibration" if found.held_out else "some of them used in the calibration"
    rows: list[tuple[str, str]] = []
    if found.reference and found.candidate:
        rows += [
            ("mAP50-95", f"{found.reference.map50_95:.4f} -> {found.candidate.map50_95:.4f}"),
            ("mAP50", f"{found.reference.map50:.4f} -> {found.candidate.map50:.4f}"),
        ]
    rows += [
        (
            f"boxes at IoU {each.iou:g}",
            (
                f"F1 {each.f1:.3f}, precision {each.precision:.3f}, recall {each.recall:.3f} "
                f"({each.matched} of {each.reference_boxes} boxes)"
            ),
        )
        for each in found.agreements
    ]
    rows += [
        (f"signal to noise of {name}", f"{decibels:.1f} dB") for name, decibels in found.signal_to_noise_db.items()
    ]
    return [
        "## Against FP32",
        f"Both ran in ONNX Runtime on the CPU, on {found.pictures} pictures, {kept}.",
        table(("measure", "FP32 -> this model"), rows),
    ]


def _costs(run: Run) -> list[str]:
    """Tell which tensors cost the most, each quantized alone."""
    if not run.sensitivities:
        return []
    rows = [(each.tensor, f"{each.noise:.1%}", f"{each.work:.1%}") for each in costs(run)[:MOST_COSTLY]]
    return [
        f"What INT8 costs, each tensor alone: the first {len(rows)} of {len(run.sensitivities)}.",
        table(("tensor", "share of the noise", "share of the work"), rows),
    ]


def _pictures(run: Run) -> list[str]:
    if not run.pictures:
        return []
    return ["## Pictures", *(f"![{name}]({quote(name, errors='surrogateescape')})" for name in run.pictures)]


def _steps(run: Run) -> list[tuple[str, str, str]]:
    return [(name, f"{seconds:.1f}", "reused" if name in run.reused else "") for name, seconds in run.seconds.items()]
