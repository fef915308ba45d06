"""Benchmarks from files, for limits on speed."""

from collections.abc import Sequence
from pathlib import Path

from polyyolo.benchmarking.keeping import Kept, benchmarks_of
from polyyolo.errors import InputError
from polyyolo.files import read_json
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
    found = _read(path)
    ours = tuple(each for each in found if each.sha256 in subject.hashes)
    if not ours:
        raise InputError(
            f"{path} tells how fast {_engines(found)} was, which is not {subject.spec.path}, nor built from it by its "
            "run",
            fix="measure this engine with polyyolo bench, or verify the one that was measured",
        )
    return ours


def baseline_for(subject: Subject, path: Path) -> tuple[Benchmark, ...]:
    """Give what was measured of the one engine that ``subject`` should be faster than.

    Raises:
        InputError: the file holds no benchmark of another engine, or of several.
    """
    others = tuple(each for each in _read(path) if each.sha256 not in subject.hashes)
    if len({each.sha256 for each in others}) != 1:
        told = f"that of several engines: {_engines(others)}" if others else f"none but that of {subject.spec.path}"
        raise InputError(
            f"{path} should hold the benchmark of the engine to be faster than, and holds {told}",
            fix="measure that engine into a file of its own: polyyolo bench ENGINE -o FILE",
        )
    return others


def _read(path: Path) -> tuple[Benchmark, ...]:
    found = read_json(path, Kept).benchmarks
    if not found:
        raise InputError(f"{path} holds no benchmark", fix="write it with polyyolo bench ENGINE -o FILE")
    return found


def _engines(benchmarks: Sequence[Benchmark]) -> str:
    return ", ".join(dict.fromkeys(str(each.engine) for each in benchmarks))
