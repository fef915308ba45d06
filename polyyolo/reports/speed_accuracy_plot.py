"""A plot of speed against accuracy, one mark a variant; of size where no speed was measured."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from polyyolo.records import Precision
from polyyolo.records.comparison import Compared, Comparison
from polyyolo.reports import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {Precision.FP32: figure.FP32, Precision.FP16: figure.FP16, Precision.INT8: figure.INT8}


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
    return figure.svg((7.6, 4.4), partial(_drawn, found, marks))


def _drawn(found: Comparison, marks: Sequence[Mark], into: "Figure") -> None:
    axes = into.add_subplot()
    for mark in marks:
        _draw(axes, mark)
    _dress(axes, found)


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
    return Mark(row.name, COLOURS[row.precision], across, up, doubt)


def _draw(axes: "Axes", mark: Mark) -> None:
    axes.errorbar(
        mark.across, mark.up, yerr=mark.doubt or None, fmt="o", ms=8, color=mark.colour, elinewidth=1.2, capsize=4
    )
    axes.annotate(mark.name, (mark.across, mark.up), (9, 6), textcoords="offset points", color=figure.INK)


def _dress(axes: "Axes", found: Comparison) -> None:
    across = f"images/s on {found.gpu}" if _timed(found) else "size of the engine, MB (smaller is to the right)"
    up = (
        "mAP50-95 (bars: two standard errors of the drop)" if _measured(found) else "agreement with FP32, F1 at IoU 0.9"
    )
    figure.dress(axes, across, up)
    axes.set_title(title(found), loc="left", color=figure.INK)
    axes.margins(0.18, 0.25)
    if not _timed(found):
        axes.invert_xaxis()
