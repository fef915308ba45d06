# noqa: INP001 - a script beside pages, no package
"""Draw the figures of docs/calibration.md and docs/quantization.md into docs/figures/.

Run as ``python docs/make_figures.py``. The plots are of what one run measured, which docs/figures/measured/ keeps: one
histogram, and what each tensor costs. ``--run FOLDER`` takes both from another run.
"""

import argparse
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from attrs import evolve, frozen
from drawn_graphs import DRAWINGS, svg
from matplotlib.figure import Figure

from polyyolo.calibration import histogram_file, statistics, thresholds
from polyyolo.calibration.statistics import Histogram
from polyyolo.quantization.flow import Flow
from polyyolo.quantization.sensitivity import most_costly
from polyyolo.records import Sensitivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parent / "figures"
MEASURED = FOLDER / "measured"
HISTOGRAM, COSTS = MEASURED / "histogram.npz", MEASURED / "costs.json"
TENSOR = "/model.22/cv3.0/cv3.0.1/act/Mul_output_0"
"""Of yolov8n: what its class scores at stride 8 are made from."""
INK, GRID, BLUE, ORANGE, GREEN, GREY = "#24292e", "#d8dee4", "#0a5cc2", "#b35900", "#1a7f37", "#8c959f"
SETTINGS: dict[Any, Any] = {"svg.hashsalt": "polyyolo", "svg.fonttype": "none", "font.size": 11}
BUDGET = 0.10


@frozen
class Costs:
    """What a run measured of its tensors."""

    model: str
    total_macs: int
    found: tuple[Sensitivity, ...]

    @property
    def flow(self) -> Flow:
        """The work alone, with the head's in float: what lies between the nodes was not kept."""
        work = {each.tensor: each.macs for each in self.found}
        return Flow({**work, "head": self.total_macs - sum(work.values())}, in_float=frozenset({"head"}))


def keep(run: Path) -> None:
    """Keep of a run's folder what the plots are drawn from."""
    MEASURED.mkdir(parents=True, exist_ok=True)
    histogram_file.save({TENSOR: histogram_file.read(run / "histograms.npz")[TENSOR]}, HISTOGRAM)
    report = json.loads((run / "report.json").read_text("utf-8"))
    kept = {
        "model": report["source"]["path"].rpartition("/")[2],
        "total_macs": sum(layer["macs"] for layer in report["layers"]),
        "found": [{name: each[name] for name in ("tensor", "noise", "macs")} for each in report["sensitivities"]],
    }
    COSTS.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def read_costs() -> Costs:
    """Read what ``keep`` kept."""
    kept = json.loads(COSTS.read_text("utf-8"))
    found = (Sensitivity(each["tensor"], (each["tensor"],), each["noise"], each["macs"]) for each in kept["found"])
    return Costs(kept["model"], kept["total_macs"], tuple(found))


def clips(axes: "Axes", found: Histogram) -> None:
    """Draw a histogram, and where each method clips it."""
    edges = np.linspace(0, found.largest, 121)
    for counts, colour, label in ((found.counts, GREY, "all values"), (found.seen, BLUE, "where something is seen")):
        axes.stairs(_even(counts, edges), edges, fill=True, alpha=0.55, color=colour, label=label)
    for height, (method, colour) in enumerate((("entropy", ORANGE), ("mse", INK), ("mse-seen", BLUE), ("max", GREY))):
        clip = thresholds.threshold(method)(found)
        axes.axvline(clip, color=colour, linewidth=1.6)
        side = {"ha": "right", "xytext": (-5, 0)} if method in ("max", "mse") else {"ha": "left", "xytext": (5, 0)}
        place = (clip, (0.93, 0.77, 0.85, 0.93)[height])
        label = f"{method}: {clip:.1f}"
        axes.annotate(
            label, place, xycoords=axes.get_xaxis_transform(), textcoords="offset points", color=colour, **side
        )
    axes.set(yscale="log", xlabel="magnitude", ylabel="share of the values, %", xlim=(0, found.largest * 1.03))
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _even(counts: np.ndarray[Any, Any], edges: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Count in even bins, as percent of all."""
    middles = statistics.magnitudes()
    filled = np.flatnonzero(counts)
    return np.histogram(middles[filled], edges, weights=counts[filled])[0] / counts.sum() * 100


def errors(axes: "Axes", found: Histogram) -> None:
    """Draw the expected error of each clip: of all values, and of those where something is seen."""
    candidates = found.largest * np.geomspace(0.1, 1, 160)
    for part, colour, label in (
        (found, GREY, "all values"),
        (evolve(found, counts=found.seen), BLUE, "where something is seen"),
    ):
        expected = _expected(part, candidates)
        best = int(np.argmin(expected))
        axes.plot(candidates, expected, color=colour, linewidth=2, label=label)
        axes.plot(candidates[best], expected[best], "o", color=colour)
        text = f"least at {candidates[best]:.1f}"
        axes.annotate(
            text, (candidates[best], expected[best]), (0, -20), textcoords="offset points", color=colour, ha="center"
        )
    shape = {"transform": axes.transAxes, "color": GREY, "va": "top"}
    axes.text(0.02, 0.95, "← clipping", ha="left", **shape)
    axes.text(0.98, 0.95, "rounding →", ha="right", **shape)
    axes.set(xlabel="clip", ylabel="expected error, least = 1", ylim=(0, 5), xlim=(0, found.largest * 1.03))
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _expected(found: Histogram, candidates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Give the error of each clip, the least as 1."""
    values = statistics.magnitudes()[np.flatnonzero(found.counts)]
    counts = found.counts[np.flatnonzero(found.counts)]
    power = thresholds.ERROR_POWER
    error = []
    for clip in candidates:
        scale = clip / thresholds.LEVELS
        restored = np.minimum(np.round(values / scale) * scale, clip)
        rounding = (scale / 2) ** power / (power + 1)
        inner = np.where(values < 64 * scale, np.abs(values - restored) ** power, rounding)
        error.append(counts @ np.where(values > clip, (values - clip).clip(0) ** power, inner))
    return np.array(error) / min(error)


def budget(axes: "Axes", costs: Costs) -> None:
    """Draw how much noise is left when a share of the work stays in float."""
    total = sum(each.noise for each in costs.found)
    shares = np.append(np.arange(0, 0.4, 0.0025), 0.4)
    left = [100 * _left(costs, share) / total for share in shares]
    axes.step(100 * shares, left, where="post", color=BLUE, linewidth=2)
    at = 100 * _left(costs, BUDGET) / total
    axes.plot([100 * BUDGET], [at], "D", color=ORANGE)
    axes.annotate(
        f"default: {100 * BUDGET:g}% of the work, {at:.0f}% of the noise left",
        (100 * BUDGET, at),
        (10, 8),
        textcoords="offset points",
        color=ORANGE,
    )
    axes.set(
        xlabel="budget: share of the work that is in float, the head's with it, %",
        ylabel="noise left, %",
        ylim=(0, 105),
        xlim=(0, 40),
    )


def _left(costs: Costs, share: float) -> float:
    """Sum the noise of what runs in INT8."""
    kept = set(most_costly(costs.found, costs.flow, share))
    return sum(each.noise for each in costs.found if each.tensor not in kept)


def plots() -> Iterator[tuple[str, str]]:
    """Give name and SVG of each plot."""
    found = histogram_file.read(HISTOGRAM)[TENSOR]
    costs = read_costs()
    drawers: Mapping[str, Callable[[Axes], None]] = {
        "clips": lambda axes: clips(axes, found),
        "errors": lambda axes: errors(axes, found),
        "budget": lambda axes: budget(axes, costs),
    }
    for name, draw in drawers.items():
        yield name, plot(draw)


def plot(draw: Callable[["Axes"], None]) -> str:
    """Give an SVG that is the same each time."""
    written = io.StringIO()
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8.2, 4.2), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.grid(visible=True, color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_color(GRID)
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return written.getvalue()


def draw_into(folder: Path) -> list[str]:
    """Write every figure; gives their names."""
    figures = {**dict(plots()), **{name: svg(graph) for name, graph in DRAWINGS.items()}}
    for name, text in figures.items():
        (folder / f"{name}.svg").write_text(text, "utf-8")
    return sorted(f"{name}.svg" for name in figures)


def main(words: Sequence[str] | None = None) -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="an INT8 run of yolov8n, to draw instead")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER)
    asked = parser.parse_args(words)
    if asked.run:
        keep(asked.run)
    draw_into(asked.output)


if __name__ == "__main__":
    main()
