"""A plot of an engine's layers: where its time goes, layer by layer, and what runs in which precision."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from polyyolo.engine_layers.exported import INT8
from polyyolo.engine_layers.findings import Findings
from polyyolo.files import replacing
from polyyolo.records.layers import EngineLayer

COLOURS = {"INT8": "#3b8f5a", "FP16": "#d9a441", "FP32": "#c8553d", "moves": "#8a8f98"}
OTHER = "#4c6a92"


def layers_plot(found: Findings, path: Path, title: str) -> None:
    """Draw one bar a layer, in the engine's order; its height is the time, or without a profile 1.

    Args:
        found: one engine.
        path: SVG to write.
        title: name of the engine.
    """
    shown = [layer for layer in found.layers if layer.time_ms != 0 and layer.kind not in ("Constant", "NoOp")]
    timed = found.time_ms is not None
    heights = [1000 * (layer.time_ms or 0.0) if timed else 1.0 for layer in shown]
    kinds = [_kind(layer) for layer in shown]
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(shown)), heights, width=1.0, color=[COLOURS.get(kind, OTHER) for kind in kinds])
    axes.set_title(f"{title}: {found.coverage:.0%} of what computes is in INT8", loc="left")
    axes.set_xlabel("layer, in the engine's order")
    axes.set_ylabel("time in us" if timed else "one layer")
    axes.set_xlim(-0.5, len(shown) - 0.5)
    axes.spines[["top", "right"]].set_visible(b=False)
    axes.legend(
        handles=[
            Patch(color=COLOURS.get(kind, OTHER), label=_label(kind, kinds, heights, timed=timed))
            for kind in dict.fromkeys(kinds)
        ],
        frameon=False,
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def _kind(layer: EngineLayer) -> str:
    if layer.move:
        return "moves"
    whole = {each.split(" ")[0] for each in layer.inputs}
    return INT8 if whole == {INT8} else layer.precision or "unknown"


def _label(kind: str, kinds: list[str], heights: list[float], *, timed: bool) -> str:
    total = sum(height for each, height in zip(kinds, heights, strict=True) if each == kind)
    return f"{kind}: {total:.0f} us" if timed else f"{kind}: {total:.0f} layers"
