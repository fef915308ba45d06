"""Measure an engine: with which program, at which shapes, and what the GPU did meanwhile."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from polyyolo import progress
from polyyolo.benchmarking.conditions import watching
from polyyolo.benchmarking.known import profiles_beside
from polyyolo.benchmarking.meters import choose
from polyyolo.benchmarking.reading import Meter
from polyyolo.benchmarking.shapes import Point, batch_of, points
from polyyolo.benchmarking.trtexec_meter import bare
from polyyolo.engines.engine_file import EngineFile, read_engine_file
from polyyolo.engines.trtexec_timing import Timing
from polyyolo.files import sha256_of
from polyyolo.records import Benchmark

STEP = "measure"


@frozen
class Asked:
    """What is to be measured.

    Attributes:
        batches: pictures of a query, one measurement each; empty for the engine's own.
        shapes: as "images:8x3x640x640", one measurement each.
        program: "trtexec" or "python"; "auto" takes the one whose TensorRT is the engine's.
        end_to_end: measure a second time, with the copies to the GPU and back.
    """

    batches: tuple[int, ...] = ()
    shapes: tuple[str, ...] = ()
    program: str = "auto"
    timing: Timing = field(factory=Timing)
    end_to_end: bool = True


def bench(path: Path, asked: Asked, log: Path) -> Iterator[Benchmark]:
    """Measure an engine at each point, and give each benchmark as soon as it is there.

    Args:
        path: the engine.
        asked: what to measure.
        log: file for what trtexec prints; of the last run.

    Raises:
        InputError: no engine, or shapes that it does not take.
        ToolchainError: no GPU, nothing that measures, or the engine is for another version or GPU.
        ToolFailed: trtexec failed.
    """
    engine, sha256 = read_engine_file(path), sha256_of(path)
    with bare(engine) as plan:
        meter = choose(engine, plan, asked.program, log)
        profiles = profiles_beside(engine.path, sha256) or meter.profiles()
        wanted = points(profiles, asked.batches, asked.shapes)
        with progress.step(STEP, len(wanted) * (1 + asked.end_to_end)):
            for point in wanted:
                yield _measured(meter, point, asked, engine, sha256)


def _measured(meter: Meter, point: Point, asked: Asked, engine: EngineFile, sha256: str) -> Benchmark:
    timing = asked.timing
    with watching() as watch:
        read = meter.measure(point, timing)
        conditions, held = watch.during(timing.duration_s), watch.held_back_by(timing.duration_s)
    progress.advance(STEP)
    total = None
    if asked.end_to_end:
        total = meter.measure(point, evolve(timing, copies=True)).total
        progress.advance(STEP)
    shapes = read.shapes or point.shapes
    return Benchmark(
        engine=engine.path,
        sha256=sha256,
        shapes=shapes,
        batch=batch_of(shapes),
        images_per_s=read.queries_per_s * batch_of(shapes),
        gpu_compute=read.compute,
        end_to_end=total,
        gpu=read.gpu,
        measured_by=read.measured_by,
        command=read.command,
        settings=_settings(timing, end_to_end=asked.end_to_end),
        conditions=conditions,
        warnings=(*read.remarks, *_apart(timing), *(f"the GPU was held back by {reason}" for reason in held)),
        course_ms=read.course_ms,
    )


def _settings(timing: Timing, *, end_to_end: bool) -> Mapping[str, str]:
    return {
        "warm-up": f"{timing.warm_up_ms} ms",
        "duration": f"{timing.duration_s:g} s",
        "streams": str(timing.streams),
        "CUDA graph": "on" if timing.graph else "off",
        "spin wait": "on",
        "copies": "left out" + ("; end to end is a second run with them" if end_to_end else ""),
    }


def _apart(timing: Timing) -> Iterator[str]:
    """Say what keeps a figure from being compared with one measured as usual."""
    if not timing.graph:
        yield "not comparable: measured without a CUDA graph"
    if timing.streams > 1:
        yield f"not comparable: {timing.streams} queries ran at the same time, each is slower for it"
