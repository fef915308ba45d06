"""polyyolo bench: how fast an engine is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.console import bars, print_json, printable
from polyyolo.cli.ranges import Finite
from polyyolo.errors import InputError

if TYPE_CHECKING:
    from polyyolo.benchmarking.bench import BenchRequest
    from polyyolo.records import Benchmark, Latency

PATH = click.Path(path_type=Path)
HOUR_S = 3600
"""trtexec tells times in six digits: hours later, those of one query are all the same."""


@click.command()
@click.argument("engine", type=PATH)
@click.option("--batch", metavar="1,8,32", help="pictures of a query, one measurement each  [the engine's own]")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="[NAME:]1x3x640x640",
    help="shape of an input; may be repeated, one measurement each, and goes with --batch",
)
@click.option(
    "--warm-up",
    type=click.IntRange(0, 1000 * HOUR_S),
    default=500,
    show_default=True,
    help="milliseconds before it counts",
)
@click.option("--duration", type=Finite(0.1, HOUR_S), default=3, show_default=True, help="seconds that count")
@click.option("--streams", type=click.IntRange(1, 64), default=1, show_default=True, help="queries at the same time")
@click.option("--no-graph", is_flag=True, help="launch kernels one by one instead of as one CUDA graph")
@click.option("--no-end-to-end", is_flag=True, help="leave out the second run, with the copies to the GPU and back")
@click.option(
    "--program",
    type=click.Choice(["auto", "trtexec", "python"]),
    default="auto",
    show_default=True,
    help="what measures: auto takes what is of the engine's TensorRT, trtexec first",
)
@click.option("-o", "--output", type=PATH, metavar="FILE", help="where results go  [benchmark.json beside the engine]")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def bench(engine: Path, output: Path | None, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Measure ENGINE on this machine's GPU: latency, images/s, and whether the figures can be trusted."""
    from polyyolo.benchmarking.bench import bench as measure
    from polyyolo.benchmarking.keeping import FILE, Kept, keep, log_beside, plot_beside, refuse_results
    from polyyolo.engines.engine_file import read_engine_file
    from polyyolo.files import plain, write_text
    from polyyolo.reports import latency_plot

    read_engine_file(engine)  # before a folder is made for its results
    results = output or engine.parent / FILE
    asked, found = _asked(**options), []
    refuse_results(results, engine)
    with bars(quiet=as_json):
        for benchmark in measure(engine, asked, log_beside(results, engine)):
            found.append(benchmark)
            keep(benchmark, results)
        plot = latency_plot.svg(found)
        if plot:
            write_text(plot_beside(results), plot)
    if as_json:
        print_json(plain(Kept(tuple(found))))
    else:
        _show(found, results)


def _asked(  # noqa: PLR0913 - one parameter an option
    *,
    batch: str | None,
    shapes: tuple[str, ...],
    warm_up: int,
    duration: float,
    streams: int,
    no_graph: bool,
    no_end_to_end: bool,
    program: str,
) -> "BenchRequest":
    from polyyolo.benchmarking.bench import BenchRequest
    from polyyolo.engines.trtexec_timing import Timing

    return BenchRequest(
        batches=_batches(batch) if batch else (),
        shapes=shapes,
        program=program,
        timing=Timing(warm_up, duration, streams, graph=not no_graph),
        end_to_end=not no_end_to_end,
    )


def _batches(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) for word in words):
        raise InputError(f"{text!r} is no list of batches", fix="write it as 1,8,32")
    return tuple(dict.fromkeys(map(int, words)))


def _show(found: "Sequence[Benchmark]", results: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{found[0].gpu}, {found[0].measured_by}; times in ms"
    table = Table("input", "images/s", "GPU", "p90", "p99", "end to end", "p99", title=title, title_justify="left")
    for each in found:
        compute, total = each.gpu_compute, each.end_to_end
        figures = (compute.median_ms, compute.p90_ms, compute.p99_ms, *(_ends(total) if total else ()))
        shapes = "\n".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in each.shapes.items())
        table.add_row(printable(shapes), f"{each.images_per_s:,.0f}", *(f"{value:.4g}" for value in figures))
    console = Console()
    console.print(table)
    for each in found:
        if each.conditions:
            console.print(printable(f"{_label(each, found)}: {_conditions(each)}"), highlight=False, markup=False)
    for warning in dict.fromkeys(warning for each in found for warning in each.warnings):
        where = [_label(each, found) for each in found if warning in each.warnings]
        told = f"{', '.join(where)}: {warning}" if len(where) < len(found) else warning
        console.print(f"warning: {printable(told)}", style="yellow", highlight=False, markup=False)
    console.print(f"written to {results}", style="dim", highlight=False, markup=False)


def _ends(total: "Latency") -> tuple[float, float]:
    return total.median_ms, total.p99_ms


def _label(benchmark: "Benchmark", found: "Sequence[Benchmark]") -> str:
    """Tell one from the others: by its batch, or by its shapes where others have that batch too."""
    from polyyolo.engines.trtexec_shapes import spelled

    if sum(each.batch == benchmark.batch for each in found) == 1:
        return f"batch {benchmark.batch}"
    return spelled(benchmark.shapes)


def _conditions(benchmark: "Benchmark") -> str:
    units = {"sm_clock_mhz": "{:.0f} MHz", "memory_clock_mhz": "memory {:.0f} MHz", "power_w": "{:.0f} W"}
    units["temperature_c"] = "{:.0f} degrees Celsius"
    return ", ".join(
        text.format(benchmark.conditions[key]) for key, text in units.items() if key in benchmark.conditions
    )
