"""A plot of what quantizing each tensor costs against the work that INT8 makes cheaper."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from polyyolo.records import Run, Sensitivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "sensitivity.svg"
NAMED = 6
"""The most costly tensors are named; more names would cover each other."""
INK, GRID, KEPT, QUANTIZED = "#24292e", "#d8dee4", "#b35900", "#0a5cc2"
INLINE = {INK: "currentColor", GRID: "var(--line)", KEPT: "var(--kept)", QUANTIZED: "var(--int8)", "#fffffe": "none"}
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
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(
        {"svg.hashsalt": "polyyolo", "svg.fonttype": "none", "text.parse_math": False, "font.size": 10}
    ):
        figure = Figure(figsize=(7.6, 4.4), facecolor="#fffffe", layout="constrained")
        _drawn(figure.add_subplot(), run)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return written.getvalue()


def inlined(run: Run) -> str:
    """Give the plot as an element of a page, in the page's colours."""
    text = svg(run)
    text = text[text.index("<svg") :].replace(GLOBAL_STYLE, "")
    for colour, inherited in INLINE.items():
        text = text.replace(colour, inherited)
    title = "Noise of each tensor quantized alone, against its share of the work; the table below has the figures"
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)


def _drawn(axes: "Axes", run: Run) -> None:
    total = sum(layer.macs for layer in run.layers) or 1
    noise = sum(each.noise for each in run.sensitivities) or 1
    shown = [each for each in run.sensitivities if each.noise > 0 and each.macs > 0]
    kept = {each.tensor for each in run.sensitivities if any(node in run.in_float for node in each.nodes)}
    for marker, colour, label, group in (
        ("o", QUANTIZED, "runs in INT8", [each for each in shown if each.tensor not in kept]),
        ("D", KEPT, "stays in float", [each for each in shown if each.tensor in kept]),
    ):
        work = [100 * each.macs / total for each in group]
        share = [100 * each.noise / noise for each in group]
        axes.scatter(work, share, s=38, marker=marker, color=colour, alpha=0.85, label=label, linewidths=0)
    _named(axes, shown[:NAMED], total, noise)
    _dressed(axes)


def _named(axes: "Axes", most: Sequence[Sensitivity], total: int, noise: float) -> None:
    middle = math.sqrt(max((each.macs for each in most), default=1) * min((each.macs for each in most), default=1))
    for each in most:
        place = (100 * each.macs / total, 100 * each.noise / noise)
        aside, side = ((-7, 4), "right") if each.macs > middle else ((7, 4), "left")
        text = _short(each.tensor)
        axes.annotate(text, place, aside, textcoords="offset points", ha=side, fontsize=8.5, color=INK)


def _short(name: str) -> str:
    """Leave out what exporters add, and the middle of what is long."""
    bare = name.strip("/").removesuffix("_output_0")
    return bare if len(bare) <= 28 else f"{bare[:13]}…{bare[-14:]}"


def _dressed(axes: "Axes") -> None:
    from matplotlib.ticker import LogLocator

    axes.set(xscale="log", yscale="log", xlabel="share of the work, %", ylabel="share of the noise, %")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter("")
        axis.label.set_color(INK)
    axes.set_facecolor("#fffffe")
    axes.grid(visible=True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", color=GRID, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    axes.legend(frameon=False, labelcolor=INK, loc="lower right")
