"""How fast an engine is, and under which conditions that was measured."""

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen


@frozen
class Latency:
    """How one duration was distributed over all queries, in milliseconds.

    Attributes:
        quantiles_ms: 101 of them, from the shortest query to the longest, each a hundredth of all further; empty where
            single queries are not known.
    """

    samples: int
    min_ms: float
    mean_ms: float
    median_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    quantiles_ms: tuple[float, ...] = ()


@frozen
class Benchmark:
    """One engine measured at one set of shapes.

    Attributes:
        shapes: input name -> shape.
        batch: pictures of one query.
        images_per_s: pictures that went through in a second, all streams together.
        gpu_compute: from the first kernel to the last.
        end_to_end: with the copies to the GPU and back; None where they were left out.
        measured_by: program and version, as "trtexec 8.6.0" or "TensorRT 8.6.0, CUDA graph".
        command: the whole command line; empty where no program was run.
        settings: what shaped the figures: warm-up, duration, streams, graph, spin wait, copies.
        conditions: readings of the GPU during the measurement: clocks in MHz, power in W, temperature in
            degrees Celsius.
        warnings: why the figures may not be steady or not be comparable.
        course_ms: median GPU compute time of successive parts of the measurement, in their order; empty where single
            queries are not known.
    """

    engine: Path
    sha256: str
    shapes: Mapping[str, tuple[int, ...]]
    batch: int
    images_per_s: float
    gpu_compute: Latency
    end_to_end: Latency | None
    gpu: str
    measured_by: str
    command: tuple[str, ...]
    settings: Mapping[str, str]
    conditions: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    course_ms: tuple[float, ...] = ()
