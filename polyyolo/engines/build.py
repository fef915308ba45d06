"""Run a plan: the engine appears whole, or not at all."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve

from polyyolo import progress
from polyyolo.calibration.feed_count import require_complete
from polyyolo.engines.calibrators import COUNT_FILE
from polyyolo.engines.failures import end_of, failure
from polyyolo.engines.plan_file import fault_of
from polyyolo.engines.running import Run, run_logged
from polyyolo.errors import InputError, ModelError
from polyyolo.files import file_word, refuse_unwritable, remove, replacing, sha256_of
from polyyolo.quantization.cache_fit import refuse_unfit
from polyyolo.records import BuildPlan, Command, Engine

ROOM = "choose another folder with -o"
UNUSED = "The timing cache will not be used"


def build(plan: BuildPlan, log: Path, *, run: Run = run_logged) -> Engine:
    """Build the engine that a plan decided.

    The builder writes to a temporary file beside ``plan.engine``, which takes its place when it is whole; a failed
    or interrupted build leaves what was there before.

    Args:
        plan: from ``make_plan``.
        log: file for everything that the builder prints; it begins with the command.
        run: what runs the command.

    Raises:
        InputError: the model or the calibration cache is gone, the pictures for TensorRT's own calibrator failed, or
            the folder, or that of the timing cache, cannot be written to.
        TableError: the calibration cache is damaged, stale, or was made for another model or TensorRT.
        ToolchainError: the builder cannot be started, or the disk is full.
        ToolFailed: the builder failed, was killed, said that it succeeded and wrote no engine, or did not calibrate
            with every batch.
    """
    _check_inputs(plan)
    if plan.timing_cache:
        refuse_unwritable(plan.timing_cache.parent, elsewhere="with --timing-cache")
    began = time.monotonic()
    with progress.step("build"), replacing(plan.engine) as temporary, _calibrating(plan) as cache:
        ended = run(_writing_to({**cache, "-o": temporary, "--saveEngine": temporary}, plan), log)
        if ended.status:
            raise failure(end_of(ended), plan.command, ended, log, room=ROOM)
        fault = fault_of(temporary, plan.toolchain.kind)
        if fault:
            said = f"says that it succeeded, but the engine {fault}"
            raise failure(said, plan.command, ended, log, room=ROOM)
        if cache:
            require_complete(Path(plan.command.env[COUNT_FILE]))
    _tell_of_timing_cache(plan, log)
    return Engine(
        path=plan.engine,
        sha256=sha256_of(plan.engine),
        size_bytes=plan.engine.stat().st_size,
        build_seconds=time.monotonic() - began,
        plan=plan,
    )


def _tell_of_timing_cache(plan: BuildPlan, log: Path) -> None:
    """Warn where TensorRT went on without its timing cache: its log alone would tell why the build was not quicker.

    TensorRT 8.6.0 says so where it refuses Myelin's part alone, too, and takes the timings of all other kernels: builds
    that took 100 to 150 seconds without the cache took 10 to 20 then (first stages of YOLO models, H200).
    """
    if plan.timing_cache and UNUSED in log.read_text(encoding="utf-8", errors="replace"):
        progress.warn(
            f"TensorRT refused the timing cache {plan.timing_cache} or a part: nothing was lost but time (log: {log})",
            "remove it where builds are as slow as without it; caches are for one GPU and one TensorRT",
        )


def _check_inputs(plan: BuildPlan) -> None:
    if not plan.model.path.is_file():
        raise ModelError(f"the model {plan.model.path} is gone", fix="make it again, or name another")
    if plan.engine.is_dir():
        raise InputError(f"{plan.engine} is a folder", fix=f"name a file with -o, as {plan.engine / 'yolo.plan'}")
    cache = None if COUNT_FILE in plan.command.env else plan.calibration_cache
    # trtexec calibrates on noise when the cache is missing, and crashes on an empty one.
    if cache and not (cache.is_file() and cache.stat().st_size):
        raise InputError(
            f"the calibration cache {cache} is missing or empty",
            fix="name a cache, a folder of pictures or an .npy with --calib",
        )
    if cache:
        refuse_unfit(cache, plan.model, plan.toolchain)


@contextmanager
def _calibrating(plan: BuildPlan) -> Iterator[dict[str, Path]]:
    """Let TensorRT's own calibrator write its cache elsewhere first; nothing where the plan has scales already."""
    if COUNT_FILE not in plan.command.env or not plan.calibration_cache:
        yield {}
        return
    remove(Path(plan.command.env[COUNT_FILE]))
    with replacing(plan.calibration_cache) as temporary:
        yield {"--calibration-cache": temporary}


def _writing_to(places: Mapping[str, Path], plan: BuildPlan) -> Command:
    """Spell the plan's command with other files for some options: in Polygraphy's next word, behind trtexec's =."""

    def placed(before: str, word: str) -> str:
        name, equals, _ = word.partition("=")
        if before in places:
            return file_word(places[before])
        return f"{name}={places[name]}" if equals and name in places else word

    argv = plan.command.argv
    return evolve(plan.command, argv=tuple(map(placed, ("", *argv), argv)))
