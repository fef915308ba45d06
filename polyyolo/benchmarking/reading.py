"""What one measurement came to, whoever made it, and how it becomes a benchmark."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from polyyolo.benchmarking.distribution import course, doubts, latency
from polyyolo.benchmarking.shapes import Point, Shapes, batch_of
from polyyolo.engines.trtexec_results import Times
from polyyolo.engines.trtexec_timing import Timing
from polyyolo.records import Benchmark, Latency, ShapeRange

NO_GRAPH = "not comparable: the engine could not be captured as a CUDA graph, its kernels were launched one by one"


@frozen
class Reading:
    """One point, measured once.

    Attributes:
        shapes: of all inputs.
        queries_per_s: all streams together.
        compute: of the GPU alone, from the first kernel to the last.
        total: with the copies, where they were not left out.
        course_ms: medians of successive parts; empty where single queries are not known.
        measured_by: program and version.
        command: empty where no program was run.
        remarks: why the figures may not be steady or not be comparable.
        graph: whether the CUDA graph that was asked for could be captured.
    """

    queries_per_s: float
    compute: Latency
    total: Latency
    shapes: Shapes = field(factory=dict)
    gpu: str = ""
    measured_by: str = ""
    command: tuple[str, ...] = ()
    course_ms: tuple[float, ...] = ()
    remarks: tuple[str, ...] = ()
    graph: bool = True


class Meter(Protocol):
    """What measures an engine: trtexec, or TensorRT in this process."""

    def profiles(
        self, batches: Sequence[int] = (), shapes: Sequence[str] = (), /
    ) -> tuple[Mapping[str, ShapeRange], ...]:
        """Ask what the engine takes; some find out only by trying the first of what is asked for."""

    def measure(self, point: Point, timing: Timing) -> Reading:
        """Measure one point."""


def reading_of(times: Times) -> Reading:
    """Sum up the times of single queries."""
    return Reading(
        queries_per_s=1000 * times.compute_ms.size / times.span_ms,
        compute=latency(times.compute_ms),
        total=latency(times.total_ms),
        course_ms=course(times.compute_ms),
        remarks=tuple(doubts(times.compute_ms)),
    )


def benchmark_of(
    read: Reading, engine: Path, sha256: str, timing: Timing, end_to_end: Latency | None = None
) -> Benchmark:
    """Make the record of a measurement; what the GPU did meanwhile is the caller's to add.

    Args:
        read: the first run, without the copies.
        engine: file that was measured.
        sha256: of it.
        timing: of the first run.
        end_to_end: of a second one, with the copies.
    """
    return Benchmark(
        engine=engine,
        sha256=sha256,
        shapes=read.shapes,
        batch=batch_of(read.shapes),
        images_per_s=read.queries_per_s * batch_of(read.shapes),
        gpu_compute=read.compute,
        end_to_end=end_to_end,
        gpu=read.gpu,
        measured_by=read.measured_by,
        command=read.command,
        settings=_settings(timing, graph=timing.graph and read.graph, second_run=end_to_end is not None),
        conditions={},
        warnings=(*read.remarks, *_apart(timing, captured=read.graph)),
        course_ms=read.course_ms,
    )


def _settings(timing: Timing, *, graph: bool, second_run: bool) -> Mapping[str, str]:
    return {
        "warm-up": f"{timing.warm_up_ms} ms",
        "duration": f"{timing.duration_s:g} s",
        "streams": str(timing.streams),
        "CUDA graph": "on" if graph else "off",
        "spin wait": "on",
        "copies": "left out" + ("; end to end is a second run with them" if second_run else ""),
    }


def _apart(timing: Timing, *, captured: bool) -> Iterator[str]:
    """Say what keeps a figure from being compared with one measured as usual."""
    if not timing.graph:
        yield "not comparable: measured without a CUDA graph"
    elif not captured:
        yield NO_GRAPH
    if timing.streams > 1:
        yield f"not comparable: {timing.streams} queries ran at the same time, each is slower for it"
