"""Benchmarks from files, for limits on speed."""

from pathlib import Path

from polyyolo import progress
from polyyolo.benchmarking.baseline import engines_of, read_benchmarks
from polyyolo.benchmarking.bench import Asked, bench
from polyyolo.benchmarking.keeping import FILE, LOG, benchmarks_of, keep
from polyyolo.benchmarking.meters import NoMeterError
from polyyolo.errors import InputError
from polyyolo.records import Benchmark, Limits
from polyyolo.verification.subject import Subject


def benchmarks_for(subject: Subject, path: Path | None) -> tuple[Benchmark, ...]:
    """Give what was measured of an engine, or of the engine that an ONNX's run built.

    Args:
        subject: what is verified.
        path: what ``polyyolo bench`` wrote or printed with ``--json``; None takes what lies beside the engine.

    Raises:
        InputError: the file holds no benchmark of it.
    """
    if path is None:
        engine = subject.engine
        return benchmarks_of(engine) if engine else ()
    found = read_benchmarks(path)
    ours = tuple(each for each in found if each.sha256 in subject.hashes)
    if not ours:
        raise InputError(
            f"{path} tells how fast {engines_of(found)} was, which is not {subject.spec.path}, nor built from it by "
            "its run",
            fix="measure this engine with polyyolo bench, or verify the one that was measured",
        )
    return ours


def benchmarks_here(subject: Subject, limits: Limits, folder: Path) -> tuple[Benchmark, ...]:
    """Measure an engine where a limit on speed asks for it, at the shapes that it is best at, and keep the result.

    Args:
        subject: what is verified; an ONNX has no speed.
        limits: what is asked.
        folder: of the results; what an earlier verification measured there is taken as it is.

    Raises:
        InputError: the engine is damaged.
        ToolchainError: this machine cannot run it.
        ToolFailed: trtexec failed.
    """
    if not subject.is_engine or (limits.max_latency_ms is None and limits.min_speedup is None):
        return ()
    earlier = benchmarks_of(subject.spec.path, folder)
    if earlier:
        return earlier
    try:
        found = tuple(bench(subject.spec.path, Asked(), folder / LOG))
    except NoMeterError as error:
        progress.warn(error.message, error.fix)
        return ()
    for each in found:
        keep(each, folder / FILE)
    return found
