"""A plot of how an engine's GPU compute time is distributed, and of its course during the measurement."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from polyyolo.records import Benchmark
from polyyolo.reports import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE = "benchmark.svg"
BINS = 30
ROW_INCHES = 2.0
BAR, LINE = "#0a5cc2", "#b35900"


def svg(benchmarks: Sequence[Benchmark]) -> str:
    """Draw a row for each benchmark: on the left how many queries took how long, on the right when they did.

    Args:
        benchmarks: those of which single queries are not known are left out.

    Returns:
        an SVG file. Its text stays text, and the same benchmarks give the same bytes; empty where there is no row.
    """
    shown = [each for each in benchmarks if each.gpu_compute.quantiles_ms]
    if not shown:
        return ""
    size = (8.4, ROW_INCHES * len(shown) + 0.4)
    return figure.svg(size, partial(_rows, shown), font_points=9)


def _rows(shown: Sequence[Benchmark], into: "Figure") -> None:
    rows = into.subplots(len(shown), 2, squeeze=False, gridspec_kw={"width_ratios": (3, 2)})
    for (left, right), each in zip(rows, shown, strict=True):
        _distribution(left, each)
        _course(right, each)


def _distribution(axes: "Axes", benchmark: Benchmark) -> None:
    spread = benchmark.gpu_compute
    middles = [(low + high) / 2 for low, high in pairwise(spread.quantiles_ms)]  # one for each hundredth of all queries
    axes.hist(middles, bins=BINS, weights=[1.0] * len(middles), color=BAR)
    for value, style in ((spread.median_ms, "-"), (spread.p99_ms, "--")):
        axes.axvline(value, color=LINE, linestyle=style, linewidth=1)
    axes.set_title(f"{_shapes(benchmark)}: median {spread.median_ms:.4g} ms, p99 {spread.p99_ms:.4g} ms", loc="left")
    figure.dress(axes, "GPU compute time in ms; solid: median, dashed: p99", "% of queries")


def _course(axes: "Axes", benchmark: Benchmark) -> None:
    parts = len(benchmark.course_ms)
    axes.plot([100 * (part + 0.5) / parts for part in range(parts)], benchmark.course_ms, color=BAR, linewidth=1.2)
    axes.set_title(f"{benchmark.images_per_s:,.0f} images/s", loc="left")
    figure.dress(axes, "% of the measurement", "median in ms")
    middle = benchmark.gpu_compute.median_ms
    low, high = min(benchmark.course_ms), max(benchmark.course_ms)
    axes.set_ylim(min(low, 0.98 * middle), max(high, 1.02 * middle))  # below 2% nothing is worth a mountain


def _shapes(benchmark: Benchmark) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in benchmark.shapes.items())
