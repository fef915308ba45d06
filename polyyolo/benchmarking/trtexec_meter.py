"""Measure with trtexec or tensorrt_rtx."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, frozen

from polyyolo import files, progress
from polyyolo.benchmarking.known import profiles_in_python
from polyyolo.benchmarking.reading import Reading
from polyyolo.benchmarking.shapes import Point, Shapes
from polyyolo.benchmarking.trial import ranges, trial
from polyyolo.benchmarking.trtexec_reading import of_summary, of_times
from polyyolo.engines.engine_file import EngineFile
from polyyolo.engines.failures import cause_of, end_of, failure
from polyyolo.engines.running import Ended, Run, run_logged
from polyyolo.engines.trtexec_inference import load_flags
from polyyolo.engines.trtexec_results import (
    Times,
    open_inputs_in,
    profiles_in,
    read_times,
    shapes_in,
)
from polyyolo.engines.trtexec_shapes import spelled
from polyyolo.engines.trtexec_timing import Dialect, Timing, timing_flags
from polyyolo.errors import InputError, PolyYoloError, ToolFailed
from polyyolo.records import Command, ShapeRange

PROFILES = (9, 0)
"""The first release with --dumpOptimizationProfile and --useProfile."""
PROBE = Timing(warm_up_ms=0, duration_s=0, graph=False)


@frozen
class TrtexecMeter:
    """One engine and one program.

    Attributes:
        plan: the engine's bare plan: trtexec takes nothing in front of it.
        version: of the program; empty for tensorrt_rtx.
        log: gets what the last run printed. What is read of a run is its own: others may measure the same engine.
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
        read = of_times(times, log) if times else of_summary(log)
        if read is None:
            raise self._failed("says that it succeeded, but it measured nothing", command, Ended(0, ()), log)
        return evolve(read, measured_by=f"{self.program.name} {self.version}".strip(), command=command.argv)

    def profiles(
        self, batches: Sequence[int] = (), shapes: Sequence[str] = (), /
    ) -> tuple[Mapping[str, ShapeRange], ...]:
        """Ask what the engine takes.

        Releases before 9.0 do not tell it. Python's TensorRT does where it is of the engine's version; without it the
        engine is tried with what is asked for, its open axes are taken to be without bounds, and trtexec refuses what
        is outside.
        """
        if self._knows_profiles():
            asking = "--skipInference", "--dumpOptimizationProfile"
            found = profiles_in(self._logged(Command((*self._argv(None, PROBE), *asking))))
            if found:
                return found
        return profiles_in_python(self.engine) or (self._tried(batches, shapes),)

    def _tried(self, batches: Sequence[int], shapes: Sequence[str]) -> Mapping[str, ShapeRange]:
        """Run one query; where trtexec makes up what the engine refuses, once more for each such input."""
        made_up: dict[str, tuple[int, ...]] = {}
        told: Shapes = {}
        while True:
            point = Point(told) if told else None
            command = Command((*self._argv(point, PROBE), "--iterations=1"))
            ended, said = self._ran(command)
            made_up |= open_inputs_in(said)
            if not ended.status:
                if made_up and not (batches or shapes):
                    self._warn_of_guess(made_up)
                return ranges({**told, **shapes_in(said)}, made_up, told)
            failed = self._failed(end_of(ended), command, ended, said)
            if not (isinstance(failed, InputError) and open_inputs_in(said)):
                raise failed
            told = trial(made_up, batches, shapes)

    def _warn_of_guess(self, made_up: Shapes) -> None:
        progress.warn(
            f"trtexec {self.version} does not tell what {self.engine.path} is best at: it is measured at "
            f"{spelled(made_up)}, with 1 for each open axis",
            "name what it was built for with --batch or --shape",
        )

    def _argv(self, point: Point | None, timing: Timing) -> Iterator[str]:
        yield str(self.program)
        yield from load_flags(self.plan, point.shapes if point else {})
        yield from timing_flags(self.dialect, timing)
        if point and point.profile:
            yield f"--useProfile={point.profile}"

    def _knows_profiles(self) -> bool:
        return self.dialect.rtx or self.dialect.release >= PROFILES

    def _refuse_profile(self, point: Point) -> None:
        if point.profile and not self._knows_profiles():
            raise InputError(
                f"{spelled(point.shapes)} is in profile {point.profile} of {self.engine.path}, "
                f"and trtexec {self.version} runs profile 0 only",
                fix="use --program python, or a trtexec of TensorRT 9 or later",
            )

    def _logged(self, command: Command) -> str:
        """Run a command and give all that it printed."""
        ended, said = self._ran(command)
        if ended.status:
            raise self._failed(end_of(ended), command, ended, said)
        return said

    def _ran(self, command: Command) -> tuple[Ended, str]:
        """Run a command, and give how it ended and all that it printed; the log has that, too, however it ended."""
        with tempfile.TemporaryDirectory(prefix="polyyolo-bench-") as folder:
            own = Path(folder) / self.log.name
            try:
                ended = self.run(command, own)
            finally:
                if own.exists():
                    with files.replacing(self.log) as whole:
                        shutil.copyfile(own, whole)
            return ended, own.read_text(encoding="utf-8", errors="replace")

    def _failed(self, what: str, command: Command, ended: Ended, said: str) -> PolyYoloError:
        lines = tuple(said.splitlines()[1:])
        failed, cause = failure(what, command, evolve(ended, lines=lines), self.log, room="set TMPDIR"), cause_of(lines)
        if isinstance(failed, ToolFailed) and cause and cause.what:
            return cause.turn(f"{self.engine.path} {cause.what}", fix=cause.fix)
        return failed


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
