"""A plot of an engine's layers: where its time goes, layer by layer, and what runs in which precision."""

from functools import partial
from typing import TYPE_CHECKING

from polyyolo.engine_layers.exported import INT8
from polyyolo.engine_layers.findings import Findings
from polyyolo.records.layers import EngineLayer
from polyyolo.reports import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"INT8": figure.INT8, "FP16": figure.FP16, "FP32": figure.FP32, "moves": "#8a8f98"}
OTHER = "#4c6a92"


def svg(found: Findings, title: str) -> str:
    """Draw one bar a layer, in the engine's order; its height is the time, or without a profile 1.

    Args:
        found: one engine.
        title: name of the engine.

    Returns:
        an SVG file. Its text stays text, and the same findings give the same bytes.
    """
    return figure.svg((11, 3.6), partial(_drawn, found, title))


def _drawn(found: Findings, title: str, into: "Figure") -> None:
    shown, timed = found.busy, found.time_ms is not None
    heights = [1000 * (layer.time_ms or 0.0) if timed else 1.0 for layer in shown]
    kinds = [_kind(layer) for layer in shown]
    axes = into.add_subplot()
    for kind in dict.fromkeys(kinds):
        places = [place for place, each in enumerate(kinds) if each == kind]
        own = [heights[place] for place in places]
        axes.bar(places, own, width=1.0, color=COLOURS.get(kind, OTHER), label=_label(kind, own, timed=timed))
    figure.dress(axes, "layer, in the engine's order", "time in us" if timed else "one layer")
    axes.set_title(f"{title}: {found.coverage:.0%} of what computes is in INT8", loc="left", color=figure.INK)
    axes.set_xlim(-0.5, len(shown) - 0.5)
    axes.legend(frameon=False, labelcolor=figure.INK)


def _kind(layer: EngineLayer) -> str:
    if layer.move:
        return "moves"
    whole = {each.split(" ")[0] for each in layer.inputs}
    return INT8 if whole == {INT8} else layer.precision or "unknown"


def _label(kind: str, heights: list[float], *, timed: bool) -> str:
    total = sum(heights)
    return f"{kind}: {total:.0f} us" if timed else f"{kind}: {total:.0f} layers"
