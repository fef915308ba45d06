"""What one measurement came to, whoever made it."""

from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

from polyyolo.benchmarking.shapes import Point, Shapes
from polyyolo.engines.trtexec_timing import Timing
from polyyolo.records import Latency, ShapeRange


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


class Meter(Protocol):
    """What measures an engine: trtexec, or TensorRT in this process."""

    def profiles(self) -> tuple[Mapping[str, ShapeRange], ...]:
        """Ask what the engine takes."""

    def measure(self, point: Point, timing: Timing) -> Reading:
        """Measure one point."""
