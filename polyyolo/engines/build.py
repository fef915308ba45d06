"""Run a plan: the engine appears whole, or not at all."""

import time
from pathlib import Path
from typing import NoReturn

from attrs import evolve

from polyyolo import progress
from polyyolo.engines.failures import DISK_FULL, end_of, fix_for
from polyyolo.engines.plan_file import fault_of
from polyyolo.engines.running import Ended, Run, run_logged
from polyyolo.errors import InputError, ModelError, ToolchainError, ToolFailed
from polyyolo.files import replacing, sha256_of
from polyyolo.quantization.cache_fit import refuse_unfit
from polyyolo.records import BuildPlan, Command, Engine

TAIL_LINES = 12


def build(plan: BuildPlan, log: Path, *, run: Run = run_logged) -> Engine:
    """Build the engine that a plan decided.

    The builder writes to a temporary file beside ``plan.engine``, which takes its place when it is whole; a failed
    or interrupted build leaves what was there before.

    Args:
        plan: from ``make_plan``.
        log: file for everything that the builder prints; it begins with the command.
        run: what runs the command.

    Raises:
        InputError: the model or the calibration cache is gone, or the folder cannot be written to.
        TableError: the calibration cache is damaged, stale, or was made for another model or TensorRT.
        ToolchainError: the builder cannot be started, or the disk is full.
        ToolFailed: the builder failed, was killed, or said that it succeeded and wrote no engine.
    """
    _check_inputs(plan)
    began = time.monotonic()
    with progress.step("build"), replacing(plan.engine) as temporary:
        ended = run(_writing_to(temporary, plan), log)
        if ended.status:
            _fail(end_of(ended), plan, ended, log)
        fault = fault_of(temporary, plan.toolchain.kind)
        if fault:
            _fail(f"says that it succeeded, but the engine {fault}", plan, ended, log)
    return Engine(
        path=plan.engine,
        sha256=sha256_of(plan.engine),
        size_bytes=plan.engine.stat().st_size,
        build_seconds=time.monotonic() - began,
        plan=plan,
    )


def _check_inputs(plan: BuildPlan) -> None:
    if not plan.model.path.is_file():
        raise ModelError(f"the model {plan.model.path} is gone", fix="make it again, or name another")
    if plan.engine.is_dir():
        raise InputError(f"{plan.engine} is a folder", fix=f"name a file with -o, as {plan.engine / 'yolo.plan'}")
    cache = plan.calibration_cache
    # trtexec calibrates on noise when the cache is missing, and crashes on an empty one.
    if cache and not (cache.is_file() and cache.stat().st_size):
        raise InputError(
            f"the calibration cache {cache} is missing or empty",
            fix="name a cache, a folder of pictures or an .npy with --calib",
        )
    if cache:
        refuse_unfit(cache, plan.model, plan.toolchain)


def _writing_to(temporary: Path, plan: BuildPlan) -> Command:
    """Spell the plan's command with another engine file; Polygraphy has it as a word, trtexec behind an option."""
    final = {str(plan.engine): str(temporary), f"--saveEngine={plan.engine}": f"--saveEngine={temporary}"}
    return evolve(plan.command, argv=tuple(final.get(word, word) for word in plan.command.argv))


def _fail(what: str, plan: BuildPlan, ended: Ended, log: Path) -> NoReturn:
    program = Path(plan.command.argv[0]).name
    if any(DISK_FULL.search(line) for line in ended.lines):
        raise ToolchainError(
            f"{program} {what}: no space is left on the disk (log: {log})",
            fix="free some space, or choose another folder with -o",
        )
    raise ToolFailed(
        f"{program} {what}",
        fix=fix_for(ended.lines),
        argv=plan.command.argv,
        status=ended.status,
        tail="\n".join(ended.lines[-TAIL_LINES:]),
        log_path=log,
    )
