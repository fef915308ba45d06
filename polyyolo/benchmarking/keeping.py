"""Benchmarks beside their engine: ``benchmark.json`` holds what was measured, and the report takes it from there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

from polyyolo.errors import InputError
from polyyolo.files import (
    read_json,
    real,
    refuse_same,
    refuse_special,
    refuse_unwritable,
    sha256_of,
    writable,
    write_json,
)
from polyyolo.records import Benchmark

FILE = "benchmark.json"
LOG = "benchmark.log"
"""In a folder that holds what was measured of one engine alone; else ``log_beside`` names it."""


@frozen
class Kept:
    """What the file holds."""

    benchmarks: tuple[Benchmark, ...]


def log_beside(results: Path, engine: Path) -> Path:
    """Name the log of an engine beside its results: other engines may be measured into the same file meanwhile."""
    return results.with_name(f"{engine.name}.benchmark.log")


def plot_beside(results: Path) -> Path:
    """Name the plot of results."""
    return results.with_suffix(".svg")


def keep(benchmark: Benchmark, path: Path) -> None:
    """Add one to a file, which may hold those of other engines too.

    What was measured of the same engine in the same way makes room for it, and so does all that was measured of an
    earlier engine in its place: nobody could tell those apart from then on.

    Raises:
        InputError: the file cannot be written.
        ToolchainError: the disk is full.
    """
    with _alone(path.parent):
        others = (each for each in _read(path) if not _replaces(benchmark, each))
        write_json(path, Kept((*others, benchmark)))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process adds to what lies in a folder: what it adds in between would be lost."""
    import fcntl  # there is none on Windows

    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network's file system may know no locks
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def refuse_results(path: Path, engine: Path) -> None:
    """Find out that the results of an engine cannot be kept in a file before minutes of measuring, not after.

    Raises:
        InputError: the folder cannot be written to; ``path`` is one, is a place of its own plot or log, or holds
            something else than benchmarks; or the engine would be lost.
        ToolchainError: the disk is full.
    """
    refuse_special(path)
    beside = (plot_beside(path), log_beside(path, engine))
    if path in beside:
        raise InputError(f"{path} is where a plot or a log goes", fix=f"name another file, as {path.with_name(FILE)}")
    for place in (path, *beside):
        refuse_same(place, engine)
    if path.exists():
        _refuse_foreign(path)
    refuse_unwritable(path.parent)


def _refuse_foreign(path: Path) -> None:
    try:
        read_json(path, Kept)
    except InputError as error:
        raise InputError(
            f"{path} is there already and holds no benchmarks that this version of polyyolo knows",
            fix="name another file with -o, or remove it",
        ) from error


def benchmarks_of(engine: Path, folder: Path | None = None) -> tuple[Benchmark, ...]:
    """Read what was measured of an engine as it is now; of an earlier one of the same name there is nothing."""
    found = _read((folder or engine.parent) / FILE)
    if not (found and engine.is_file()):
        return ()
    sha256 = sha256_of(engine)
    return tuple(each for each in found if each.sha256 == sha256)


def _replaces(one: Benchmark, other: Benchmark) -> bool:
    if one.engine.name != other.engine.name:
        return False
    keys = ("sha256", "shapes", "gpu", "measured_by", "settings")
    same = all(getattr(one, key) == getattr(other, key) for key in keys)
    return same or (one.sha256 != other.sha256 and real(one.engine) == real(other.engine))


def _read(path: Path) -> tuple[Benchmark, ...]:
    """Read a file; none, or one that is damaged or of another version, holds nothing."""
    try:
        return read_json(path, Kept).benchmarks
    except InputError:
        return ()
