"""A comparison as a table: for the terminal, as Markdown and as CSV, with what was not measured told once."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence

from attrs import asdict, frozen

from polyyolo import files, progress
from polyyolo.records import Outcome
from polyyolo.records.comparison import Compared, Comparison, Figures
from polyyolo.reports import speed_accuracy_plot
from polyyolo.reports.markdown import table
from polyyolo.wording import counted

RECORD, MARKDOWN, CSV, PLOT = "comparison.json", "comparison.md", "comparison.csv", "comparison.svg"
UNPROVEN = Outcome.UNPROVEN.value


@frozen
class Column:
    """One figure of the table."""

    figure: str
    head: str
    spell: Callable[[float], str]


COLUMNS = (
    Column("engine_bytes", "MB", lambda value: f"{value / 1e6:.1f}"),
    Column("build_seconds", "build s", lambda value: f"{value:.1f}"),
    Column("latency_ms", "latency ms", lambda value: f"{value:.3f}"),
    Column("images_per_s", "images/s", lambda value: f"{value:.0f}"),
    Column("speed_up", "speed-up", lambda value: f"{value:.2f}x"),
    Column("map50_95", "mAP50-95", lambda value: f"{value:.4f}"),
    Column("drop_points", "drop", lambda value: f"{value:+.2f}"),
    Column("agreement_f1", "agreement", lambda value: f"{value:.3f}"),
)
HEAD = ("variant", *(column.head for column in COLUMNS))


def write(found: Comparison) -> None:
    """Write all forms into the comparison's folder; the record last.

    Raises:
        InputError: the folder cannot be written to.
        ToolchainError: the disk is full.
    """
    drawn = speed_accuracy_plot.svg(found)
    files.write_text(found.folder / CSV, as_csv(found))
    files.write_text(found.folder / MARKDOWN, as_markdown(found, plot=PLOT if drawn else ""))
    if drawn:
        files.write_text(found.folder / PLOT, drawn)
    else:
        files.remove(found.folder / PLOT)
        progress.note("there is no plot: it needs a size or a speed, and an accuracy")
    files.write_json(found.folder / RECORD, found)


def as_text(found: Comparison) -> str:
    """Lay the table out in columns, with what is to be known about it below."""
    lines = [HEAD, *map(_cells, found.variants)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    laid = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    return "\n".join([*laid, "", *_notes(found)])


def as_markdown(found: Comparison, plot: str = "") -> str:
    """Write a page: the table, what is to be known about it, and the plot where there is one."""
    parts = [
        f"# {found.model.stem}: variants side by side",
        table(HEAD, map(_cells, found.variants)),
        "\n".join(f"- {note}" for note in _notes(found)),
        *([f"![{speed_accuracy_plot.title(found)}]({plot})"] if plot else []),
    ]
    return "\n\n".join(parts) + "\n"


def as_csv(found: Comparison) -> str:
    """Write every figure as it was measured, in the record's units; empty where it was not."""
    names = list(asdict(Figures()))
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(["variant", "precision", "outcome", *names, "error"])
    for each in found.variants:
        figures = ["" if value is None else value for value in asdict(each.figures).values()]
        outcome = each.outcome.value if each.outcome else ""
        rows.writerow([each.name, each.precision.value, outcome, *figures, each.error])
    return written.getvalue()


def _cells(row: Compared) -> tuple[str, ...]:
    figures = asdict(row.figures)
    values = [(column, figures[column.figure]) for column in COLUMNS]
    return row.name, *(UNPROVEN if value is None else column.spell(value) for column, value in values)


def _notes(found: Comparison) -> Iterator[str]:
    """Tell where the figures are from, and why others are not there, each reason once."""
    if found.toolchain:
        yield f"built with {found.toolchain}"
    if found.gpu:
        yield f"speed on {found.gpu}, by {found.measured_by}: the GPU's work alone, median; speed-up against fp32"
    if found.pictures:
        yield (
            f"mAP50-95, drop (points lost) and agreement (F1 of boxes at IoU 0.9) against the model as it was given: "
            f"in ONNX Runtime, on {counted(found.pictures, 'picture')}"
        )
    for reason, heads in _reasons(found.variants).items():
        yield f"{UNPROVEN}: {heads}: {reason}"
    for row in found.variants:
        if row.error:
            yield f"{UNPROVEN}: {row.name}: {row.error}" + (f"; {row.fix}" if row.fix else "")


def _reasons(rows: Sequence[Compared]) -> dict[str, str]:
    """Gather figures by the reason why they are not there.

    Returns:
        reason -> the columns, and the variants where not all are meant.
    """
    ran = [row for row in rows if not row.error]
    found: dict[str, str] = {}
    for reason in dict.fromkeys(why for row in ran for why in row.unproven.values()):
        meant = [row for row in ran if reason in row.unproven.values()]
        heads = [each.head for each in COLUMNS if any(row.unproven.get(each.figure) == reason for row in meant)]
        of = "" if len(meant) == len(ran) else f" of {', '.join(row.name for row in meant)}"
        found[reason] = ", ".join(heads) + of
    return found
