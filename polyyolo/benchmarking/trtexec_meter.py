"""Measure with trtexec or tensorrt_rtx."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, frozen

from polyyolo.benchmarking.distribution import course, doubts, latency
from polyyolo.benchmarking.reading import Reading
from polyyolo.benchmarking.shapes import Point, told
from polyyolo.engines.engine_file import EngineFile
from polyyolo.engines.failures import DISK_FULL, cause_of, end_of, fix_for
from polyyolo.engines.running import Ended, Run, run_logged
from polyyolo.engines.trtexec_results import (
    Summary,
    Times,
    open_inputs_in,
    profiles_in,
    read_summary,
    read_times,
    remarks_in,
    shapes_in,
    value_in,
)
from polyyolo.engines.trtexec_timing import Dialect, Timing, timing_flags
from polyyolo.errors import InputError, PolyYoloError, ToolchainError, ToolFailed
from polyyolo.records import Command, ShapeRange

PROFILES = (9, 0)
"""The first release with --dumpOptimizationProfile and --useProfile."""
UNBOUNDED = 2**31 - 1
TAIL_LINES = 12
PROBE = Timing(warm_up_ms=0, duration_s=0, graph=False)


@frozen
class TrtexecMeter:
    """One engine and one program.

    Attributes:
        plan: the engine's bare plan: trtexec takes nothing in front of it.
        version: of the program; empty for tensorrt_rtx.
        log: of the last run.
        run: what runs commands.
    """

    engine: EngineFile
    plan: Path
    program: Path
    version: str
    dialect: Dialect
    log: Path
    run: Run = run_logged

    def measure(self, point: Point, timing: Timing) -> Reading:
        """Run once and read what it exported, or what it logged.

        Raises:
            InputError: the engine is none, is damaged, or does not take these shapes.
            ToolchainError: no GPU, too little memory, a full disk, or the engine is for another version or GPU.
            ToolFailed: the program failed otherwise, was killed, or measured nothing.
        """
        self._refuse_profile(point)
        with tempfile.TemporaryDirectory(prefix="polyyolo-bench-") as folder:
            exported = Path(folder) / "times.json"
            command = Command((*self._argv(point, timing), f"--exportTimes={exported}"))
            log = self._logged(command)
            times = _times(exported)
        return self._reading(command, log, times, read_summary(log))

    def profiles(self) -> tuple[Mapping[str, ShapeRange], ...]:
        """Ask what the engine takes; releases before 9.0 tell nothing but the shapes of one query.

        Its open axes are then taken to be without bounds, and trtexec refuses what is outside.
        """
        if self._knows_profiles():
            asking = "--skipInference", "--dumpOptimizationProfile"
            found = profiles_in(self._logged(Command((*self._argv(None, PROBE), *asking))))
            if found:
                return found
        log = self._logged(Command((*self._argv(None, PROBE), "--iterations=1")))
        opened = open_inputs_in(log)
        return ({name: _bounds(shape, is_open=name in opened) for name, shape in shapes_in(log).items()},)

    def _argv(self, point: Point | None, timing: Timing) -> Iterator[str]:
        yield str(self.program)
        yield f"--loadEngine={self.plan}"
        yield from timing_flags(self.dialect, timing)
        if point:
            yield f"--shapes={told(point.shapes)}"
        if point and point.profile:
            yield f"--useProfile={point.profile}"

    def _knows_profiles(self) -> bool:
        return self.dialect.rtx or self.dialect.release >= PROFILES

    def _refuse_profile(self, point: Point) -> None:
        if point.profile and not self._knows_profiles():
            raise InputError(
                f"{told(point.shapes)} is in profile {point.profile} of {self.engine.path}, "
                f"and trtexec {self.version} runs profile 0 only",
                fix="use --program python, or a trtexec of TensorRT 9 or later",
            )

    def _logged(self, command: Command) -> str:
        """Run a command and give all that it printed."""
        ended = self.run(command, self.log)
        if ended.status:
            raise self._failed(end_of(ended), command, ended)
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _failed(self, what: str, command: Command, ended: Ended) -> PolyYoloError:
        said = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
        cause = cause_of(said)
        if any(DISK_FULL.search(line) for line in said):
            return ToolchainError(
                f"{self.program.name} {what}: no space is left on the disk", fix="free some space, also in $TMPDIR"
            )
        if cause and cause.what:
            return cause.turn(f"{self.engine.path} {cause.what}", fix=cause.fix)
        return ToolFailed(
            f"{self.program.name} {what}",
            fix=fix_for(said),
            argv=command.argv,
            status=ended.status,
            tail="\n".join(said[-TAIL_LINES:]),
            log_path=self.log,
        )

    def _reading(self, command: Command, log: str, times: Times | None, summary: Summary | None) -> Reading:
        name = f"{self.program.name} {self.version}".strip()
        read = _of_times(times) if times else _of_summary(summary) if summary else None
        if read is None:
            raise self._failed("says that it succeeded, but it measured nothing", command, Ended(0, ()))
        remarks = (remark for remark in remarks_in(log) if not (times and "unstable" in remark))
        return evolve(
            read,
            shapes=shapes_in(log),
            gpu=value_in(log, "Selected Device"),
            measured_by=name,
            command=command.argv,
            remarks=(*remarks, *read.remarks),
        )


def _of_times(times: Times) -> Reading:
    return Reading(
        queries_per_s=1000 * times.compute_ms.size / times.span_ms,
        compute=latency(times.compute_ms),
        total=latency(times.total_ms),
        course_ms=course(times.compute_ms),
        remarks=tuple(doubts(times.compute_ms)),
    )


def _of_summary(summary: Summary) -> Reading:
    lost = "no exported times could be read: the figures are those of the log"
    return Reading(summary.queries_per_s, summary.compute, summary.total, remarks=(lost,))


def _bounds(shape: tuple[int, ...], *, is_open: bool) -> ShapeRange:
    if not is_open:
        return ShapeRange(shape, shape, shape)
    return ShapeRange(tuple(1 for _ in shape), shape, tuple(UNBOUNDED for _ in shape))


def _times(path: Path) -> Times | None:
    """Read the exported times; None where they are missing or cut short."""
    try:
        return read_times(path)
    except InputError:
        return None


@contextmanager
def bare(engine: EngineFile) -> Iterator[Path]:
    """Give the engine's bare plan: the file itself, or a copy without what Ultralytics wrote in front."""
    from polyyolo.engines.engine_file import strip

    if not engine.offset:
        yield engine.path
        return
    with tempfile.TemporaryDirectory(prefix="polyyolo-plan-") as folder:
        yield strip(engine, Path(folder) / engine.path.name)
