"""What all plots have in common: one look, text that stays text, and the same bytes for the same figures."""

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID, PAPER = "#24292e", "#d8dee4", "#fffffe"
FP32, FP16, INT8 = "#c8553d", "#d9a441", "#3b8f5a"
"""Colours of precisions."""
SETTINGS: dict[Any, Any] = {"svg.hashsalt": "polyyolo", "svg.fonttype": "none", "text.parse_math": False}


def svg(size: tuple[float, float], draw: Callable[["Figure"], None], *, font_points: float = 10) -> str:
    """Draw a figure.

    Args:
        size: width and height in inches.
        draw: what puts plots into it.
        font_points: height of its text.

    Returns:
        an SVG file.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    written = io.StringIO()
    with mpl.rc_context({**SETTINGS, "font.size": font_points}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font without the letters of a name: whoever shows the text has another
        figure = Figure(figsize=size, facecolor=PAPER, layout="constrained")
        draw(figure)
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return written.getvalue()


def dress(axes: "Axes", across: str, up: str) -> None:
    """Name the axes, and give them the grid and the colours of every plot."""
    axes.set_xlabel(across, color=INK)
    axes.set_ylabel(up, color=INK)
    axes.set_facecolor(PAPER)
    axes.grid(visible=True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", color=GRID, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(b=False)
    axes.spines[["left", "bottom"]].set_color(GRID)
