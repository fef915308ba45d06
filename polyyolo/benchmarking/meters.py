"""Choose what measures an engine: trtexec or tensorrt_rtx where one is installed, else TensorRT in this process."""

import shutil
from pathlib import Path

from polyyolo.benchmarking.event_meter import EventMeter
from polyyolo.benchmarking.reading import Meter
from polyyolo.benchmarking.trtexec_meter import TrtexecMeter
from polyyolo.engines.bindings import PACKAGES, foreign, version_here
from polyyolo.engines.engine_file import EngineFile
from polyyolo.engines.programs import Executable, find_trtexec
from polyyolo.engines.trtexec_timing import Dialect
from polyyolo.errors import InputError, ToolchainError
from polyyolo.records import ToolchainKind
from polyyolo.releases import release_of

PROGRAMS = ("auto", "trtexec", "python")
RTX_PROGRAM = "tensorrt_rtx"


class NoMeterError(ToolchainError):
    """No program here could measure the engine; whether it runs is another matter."""


def choose(engine: EngineFile, plan: Path, program: str, log: Path) -> Meter:
    """Choose the program whose version is the engine's; trtexec comes first.

    Args:
        engine: what is measured.
        plan: its bare plan.
        program: one of ``PROGRAMS``.
        log: for what trtexec prints.

    Raises:
        InputError: there is no such program.
        NoMeterError: it is not installed.
        ToolchainError: there is no GPU, or what is here is of another version than the engine.
    """
    if program not in PROGRAMS:
        raise InputError(f"there is no program {program!r}", fix=f"use {', '.join(PROGRAMS)}")
    found, python = _program(engine.kind), version_here(engine.kind)
    versions = ({"trtexec": found.version} if found.path else {}) | ({"python": python} if python else {})
    able = [name for name in versions if program in ("auto", name)]
    if not able:
        raise _nothing_measures(engine, program, found)
    troubles = {name: foreign(engine, versions[name]) for name in able}
    fitting = [name for name, trouble in troubles.items() if trouble is None]
    if not fitting:
        raise next(filter(None, troubles.values()))
    if fitting[0] == "python":
        return EventMeter(engine)
    dialect = Dialect(rtx=True) if engine.kind is ToolchainKind.RTX else Dialect(release_of(found.version))
    return TrtexecMeter(engine, plan, found.path or Path(), found.version, dialect, log)


def _program(kind: ToolchainKind) -> Executable:
    """Find trtexec, or tensorrt_rtx, of which no version can be asked for."""
    if kind is ToolchainKind.TENSORRT:
        return find_trtexec()
    path = shutil.which(RTX_PROGRAM)
    return Executable(Path(path)) if path else Executable(missing=f"{RTX_PROGRAM} is not on PATH")


def _nothing_measures(engine: EngineFile, program: str, found: Executable) -> NoMeterError:
    package = PACKAGES[engine.kind][0]
    reasons = {"trtexec": found.missing, "python": f"the Python package {package} is not installed"}
    missing = "; ".join(reasons[name] for name in reasons if program in ("auto", name))
    return NoMeterError(
        f"nothing here measures {engine.path}, which was built with {engine.product}: {missing}",
        fix=f"measure it where it was built, or install {engine.product} on a machine with an NVIDIA GPU",
    )
