"""Decide a build: check everything that can be known, and spell the one command that does it. Touches nothing."""

import shlex
from pathlib import Path

from attrs import evolve

from polyyolo.engines import polygraphy, trtexec
from polyyolo.engines.job import BuildOptions, Job, Program, Typing, typing_for
from polyyolo.engines.notes import notes
from polyyolo.engines.profiles import resolve
from polyyolo.engines.refusals import refuse
from polyyolo.records import BuildPlan, Command, ModelSpec, Profile, Toolchain, ToolchainKind

__all__ = ["BuildOptions", "Program", "Typing", "make_plan", "shell_line", "typing_for"]

MUST_BE_NAMED = "7.5"
"""TensorRT for RTX leaves Turing out unless it is named."""


def make_plan(
    spec: ModelSpec, profile: Profile, toolchain: Toolchain, engine: Path, options: BuildOptions | None = None
) -> BuildPlan:
    """Decide how an ONNX becomes an engine.

    Args:
        spec: the prepared model, as ``typing_for(toolchain)`` wants it.
        profile: shapes; resolved for the model here.
        toolchain: what is here (``toolchain.find``) or elsewhere (``toolchain.named``).
        engine: file to write.
        options: precision, route and the like; INT8 from Q/DQ nodes by default.

    Raises:
        ProfileError: the profile does not fit the model, or the program cannot take it.
        InputError: options that contradict each other or the model.
        ToolchainError: the toolchain cannot do it.
    """
    job = Job(spec, resolve(profile, spec), toolchain, engine, options or BuildOptions())
    refuse(job)
    if toolchain.kind is ToolchainKind.RTX and toolchain.compute_capability == MUST_BE_NAMED:
        named = job.options.compute_capabilities or (MUST_BE_NAMED,)
        job = evolve(job, options=evolve(job.options, compute_capabilities=named))
    dialect = trtexec if job.program is Program.TRTEXEC else polygraphy
    return BuildPlan(
        model=spec,
        profile=job.profile,
        precision=job.options.precision,
        route=job.options.route,
        toolchain=toolchain,
        command=dialect.command(job),
        engine=engine,
        timing_cache=job.options.timing_cache,
        notes=tuple(notes(job)),
        calibration_cache=job.options.calibration_cache,
    )


def shell_line(command: Command) -> str:
    """Spell a command so that a POSIX shell runs it: environment first, every word quoted where it must be."""
    environment = [f"{name}={shlex.quote(value)}" for name, value in command.env.items()]
    return " ".join([*environment, shlex.join(command.argv)])
