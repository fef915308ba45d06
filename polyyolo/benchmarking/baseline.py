"""Benchmarks from files: of the engine that is judged, or of the one that it should be faster than."""

from collections.abc import Collection, Sequence
from pathlib import Path

from polyyolo.benchmarking.keeping import Kept
from polyyolo.errors import InputError
from polyyolo.files import read_json
from polyyolo.records import Benchmark


def baseline_in(path: Path, own: Collection[str] = ()) -> tuple[Benchmark, ...]:
    """Read what was measured of the one engine that another should be faster than.

    Args:
        path: what ``polyyolo bench`` wrote or printed with ``--json``.
        own: hashes of the engine that is judged, whose benchmarks may lie in the same file.

    Raises:
        InputError: the file holds no benchmark of another engine, or of several.
    """
    others = tuple(each for each in read_benchmarks(path) if each.sha256 not in own)
    if len({each.sha256 for each in others}) != 1:
        told = f"that of several engines: {engines_of(others)}" if others else "none but that of this engine"
        raise InputError(
            f"{path} should hold the benchmark of the engine to be faster than, and holds {told}",
            fix="measure that engine into a file of its own: polyyolo bench ENGINE -o FILE",
        )
    return others


def read_benchmarks(path: Path) -> tuple[Benchmark, ...]:
    """Read a file that must hold some.

    Raises:
        InputError: it does not, or cannot be read.
    """
    found = read_json(path, Kept).benchmarks
    if not found:
        raise InputError(f"{path} holds no benchmark", fix="write it with polyyolo bench ENGINE -o FILE")
    return found


def engines_of(benchmarks: Sequence[Benchmark]) -> str:
    """Name the engines that were measured."""
    return ", ".join(dict.fromkeys(str(each.engine) for each in benchmarks))
