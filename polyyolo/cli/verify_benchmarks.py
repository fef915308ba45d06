"""Benchmarks from files, for limits on speed."""

from pathlib import Path

from polyyolo.benchmarking.baseline import engines_of, read_benchmarks
from polyyolo.benchmarking.keeping import benchmarks_of
from polyyolo.errors import InputError
from polyyolo.records import Benchmark
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
