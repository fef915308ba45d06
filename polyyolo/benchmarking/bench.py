"""Measure an engine: with which program, at which shapes, and what the GPU did meanwhile."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from polyyolo import progress
from polyyolo.benchmarking.conditions import watching
from polyyolo.benchmarking.known import profiles_beside
from polyyolo.benchmarking.meters import choose
from polyyolo.benchmarking.reading import Meter, benchmark_of
from polyyolo.benchmarking.shapes import Point, points
from polyyolo.benchmarking.trtexec_meter import bare
from polyyolo.engines.engine_file import EngineFile, read_engine_file
from polyyolo.engines.trtexec_timing import Timing
from polyyolo.files import sha256_of
from polyyolo.records import Benchmark, ShapeRange

STEP = "measure"


@frozen
class BenchRequest:
    """What is to be measured.

    Attributes:
        batches: pictures of a query, one measurement each; empty for the engine's own.
        shapes: as "images:8x3x640x640", one measurement each.
        program: "trtexec" or "python"; "auto" takes the one whose TensorRT is the engine's.
        end_to_end: measure a second time, with the copies to the GPU and back.
        profiles: what the engine takes, where that is known; else its report or the engine itself is asked.
    """

    batches: tuple[int, ...] = ()
    shapes: tuple[str, ...] = ()
    program: str = "auto"
    timing: Timing = field(factory=Timing)
    end_to_end: bool = True
    profiles: tuple[Mapping[str, ShapeRange], ...] = ()


def bench(path: Path, asked: BenchRequest, log: Path) -> Iterator[Benchmark]:
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
        known = asked.profiles or profiles_beside(engine.path, sha256)
        profiles = known or meter.profiles(asked.batches, asked.shapes)
        wanted = points(profiles, asked.batches, asked.shapes)
        with progress.step(STEP, len(wanted) * (1 + asked.end_to_end)):
            for point in wanted:
                yield _measured(meter, point, asked, engine, sha256)


def _measured(meter: Meter, point: Point, asked: BenchRequest, engine: EngineFile, sha256: str) -> Benchmark:
    timing = asked.timing
    with watching() as watch:
        read = meter.measure(point, timing)
        conditions, held = watch.during(timing.duration_s), watch.held_back_by(timing.duration_s)
    progress.advance(STEP)
    total = None
    if asked.end_to_end:
        total = meter.measure(point, evolve(timing, copies=True)).total
        progress.advance(STEP)
    made = benchmark_of(evolve(read, shapes=read.shapes or point.shapes), engine.path, sha256, timing, total)
    slowed = (f"the GPU was held back by {reason}" for reason in held)
    return evolve(made, conditions=conditions, warnings=(*made.warnings, *slowed))
