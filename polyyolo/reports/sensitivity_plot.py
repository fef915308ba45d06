"""A plot of what quantizing each tensor costs against the work that INT8 makes cheaper."""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from polyyolo.records import Run
from polyyolo.reports import figure
from polyyolo.reports.costs import Cost, costs
from polyyolo.reports.figure import GRID, INK, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

FILE = "sensitivity.svg"
NAMED = 6
"""So many of the most costly tensors are named, where there is room."""
ASIDE = (((7, 4), "left"), ((7, -11), "left"), ((-7, 4), "right"), ((-7, -11), "right"))
"""Where a name may stand: points from its mark, and which end of it is there."""
KEPT, QUANTIZED = "#b35900", "#0a5cc2"
INLINE = {INK: "currentColor", GRID: "var(--line)", KEPT: "var(--kept)", QUANTIZED: "var(--int8)", PAPER: "none"}
"""Colours of the plot -> those of the page, which has a light and a dark set."""
GLOBAL_STYLE = '<style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style>'
"""In a page this would reach every element."""


def svg(run: Run) -> str:
    """Draw noise against work, one mark a tensor: diamonds stayed in float, dots run in INT8.

    Args:
        run: with sensitivities.

    Returns:
        an SVG file. Its text stays text, and the same run gives the same bytes.
    """
    return _plotted(tuple(each for each in costs(run) if each.noise > 0 and each.work > 0))


@lru_cache(maxsize=1)  # a run has it as a file and in its page
def _plotted(found: tuple[Cost, ...]) -> str:
    return figure.svg((7.6, 4.4), partial(_drawn, found))


def inlined(run: Run) -> str:
    """Give the plot as an element of a page, in the page's colours."""
    text = svg(run)
    text = text[text.index("<svg") :].replace(GLOBAL_STYLE, "")
    for colour, inherited in INLINE.items():
        text = text.replace(colour, inherited)
    title = "Noise of each tensor quantized alone, against its share of the work; the table below has the figures"
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)


def _drawn(found: Sequence[Cost], into: "Figure") -> None:
    axes = into.add_subplot()
    _marked(axes, found)
    if found:
        _scaled(axes)
    figure.dress(axes, "share of the work, %", "share of the noise, %")
    axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    into.draw_without_rendering()  # where a name ends is known once the axes have their limits
    _named(axes, found)


def _marked(axes: "Axes", found: Sequence[Cost]) -> None:
    for marker, colour, label, kept in (("o", QUANTIZED, "runs in INT8", False), ("D", KEPT, "stays in float", True)):
        work, noise = ([100 * getattr(each, what) for each in found if each.kept is kept] for what in ("work", "noise"))
        axes.scatter(work, noise, s=38, marker=marker, color=colour, alpha=0.85, label=label, linewidths=0)


def _named(axes: "Axes", found: Sequence[Cost]) -> None:
    """Name the most costly tensors, each where it covers no name of a costlier one, or not at all."""
    middle = math.sqrt(max((each.work for each in found), default=1) * min((each.work for each in found), default=1))
    taken: list[Bbox] = []
    for each in found[:NAMED]:
        place, text = (100 * each.work, 100 * each.noise), _short(each.tensor)
        for aside, side in (*ASIDE[2:], *ASIDE[:2]) if each.work > middle else ASIDE:
            name = axes.annotate(text, place, aside, textcoords="offset points", ha=side, fontsize=8.5, color=INK)
            if not any(name.get_window_extent().overlaps(other) for other in taken):
                taken.append(name.get_window_extent())
                break
            name.remove()


def _scaled(axes: "Axes") -> None:
    """Make both axes logarithmic, with round numbers at their ticks."""
    from matplotlib.ticker import LogLocator

    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter("")


def _short(name: str) -> str:
    """Leave out what exporters add, and the middle of what is long."""
    bare = name.strip("/").removesuffix("_output_0")
    return bare if len(bare) <= 28 else f"{bare[:13]}…{bare[-14:]}"
