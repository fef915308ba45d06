"""A plot of speed against accuracy, one mark a variant; of size where no speed was measured."""

import io
from typing import TYPE_CHECKING

from attrs import frozen

from polyyolo.records.comparison import Compared, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"fp32": "#c8553d", "fp16": "#d9a441", "int8": "#3b8f5a"}
INK, GRID, PAPER = "#24292e", "#d8dee4", "#fffffe"


@frozen
class Mark:
    """One variant in the plot; ``doubt`` is two standard errors, 0 where none is known."""

    name: str
    colour: str
    across: float
    up: float
    doubt: float


def title(found: Comparison) -> str:
    """Say what the plot shows."""
    if _timed(found):
        return f"{found.model.stem}: speed against accuracy"
    return f"{found.model.stem}: size against accuracy (no speed was measured)"


def svg(found: Comparison) -> str:
    """Draw it.

    Returns:
        an SVG file, its text as text, the same for the same figures; empty where no variant has figures for both axes.
    """
    marks = _marks(found)
    if not marks:
        return ""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(
        {"svg.hashsalt": "polyyolo", "svg.fonttype": "none", "text.parse_math": False, "font.size": 10}
    ):
        figure = Figure(figsize=(7.6, 4.4), facecolor=PAPER, layout="constrained")
        axes = figure.add_subplot()
        for mark in marks:
            _draw(axes, mark)
        _dress(axes, found)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return written.getvalue()


def _timed(found: Comparison) -> bool:
    return any(row.figures.images_per_s is not None for row in found.variants)


def _measured(found: Comparison) -> bool:
    """Whether there are labels, so that accuracy is mAP; else it is agreement with FP32."""
    return any(row.figures.map50_95 is not None for row in found.variants)


def _marks(found: Comparison) -> list[Mark]:
    timed, measured = _timed(found), _measured(found)
    marks = [_mark(row, timed=timed, measured=measured) for row in found.variants]
    return [mark for mark in marks if mark]


def _mark(row: Compared, *, timed: bool, measured: bool) -> Mark | None:
    figures = row.figures
    size = None if figures.engine_bytes is None else figures.engine_bytes / 1e6
    across = figures.images_per_s if timed else size
    up = figures.map50_95 if measured else figures.agreement_f1
    if across is None or up is None:
        return None
    doubt = 2 * (figures.drop_error or 0.0) / 100 if measured else 0.0
    return Mark(row.name, COLOURS[row.precision.value], across, up, doubt)


def _draw(axes: "Axes", mark: Mark) -> None:
    axes.errorbar(
        mark.across, mark.up, yerr=mark.doubt or None, fmt="o", ms=8, color=mark.colour, elinewidth=1.2, capsize=4
    )
    axes.annotate(mark.name, (mark.across, mark.up), (9, 6), textcoords="offset points", color=INK)


def _dress(axes: "Axes", found: Comparison) -> None:
    across = f"images/s on {found.gpu}" if _timed(found) else "size of the engine, MB (smaller is to the right)"
    up = (
        "mAP50-95 (bars: two standard errors of the drop)" if _measured(found) else "agreement with FP32, F1 at IoU 0.9"
    )
    axes.set_title(title(found), loc="left", color=INK)
    axes.set_xlabel(across, color=INK)
    axes.set_ylabel(up, color=INK)
    axes.margins(0.18, 0.25)
    if not _timed(found):
        axes.invert_xaxis()
    axes.set_facecolor(PAPER)
    axes.grid(visible=True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(color=GRID, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(b=False)
    axes.spines[["left", "bottom"]].set_color(GRID)
