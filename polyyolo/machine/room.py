"""Room to work in: the disk below runs/ and the cache, and memory."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from polyyolo.machine.finding import Finding, State

AREA = "room"
GIB = 1 << 30
ENOUGH_DISK = 1 * GIB
"""Enough for one run of a small model: the ONNX of each step, histograms and the engine, twice while it is written."""
ENOUGH_MEMORY = 2 * GIB
"""A whole run of YOLOv5s takes a GiB, in docs/benchmarks; TensorRT builds beside it."""


def look_at_runs() -> Iterator[Finding]:
    """Look at where runs go unless -o names another folder."""
    yield _disk("runs/", Path("runs"), "a place for results", "name a folder on another disk with -o")


def look_at_cache() -> Iterator[Finding]:
    """Look at where fetched models and pictures are kept."""
    from polyyolo.fetching import cache

    fix = f"name a folder on another disk: export {cache.VARIABLE}=DIR"
    yield _disk("cache", cache.folder(), "models by name, and sample pictures", fix)


def look_at_memory() -> Iterator[Finding]:
    """Ask the kernel what it could give now."""
    size = os.sysconf("SC_PAGE_SIZE")
    total, free = size * os.sysconf("SC_PHYS_PAGES"), _available() or size * os.sysconf("SC_AVPHYS_PAGES")
    told = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    if free >= ENOUGH_MEMORY:
        yield Finding(AREA, "memory", State.FOUND, told)
    else:
        fix = "end other programs, or use a machine with more memory"
        yield Finding(AREA, "memory", State.FLAWED, f"{told}: little", "calibrating and building", fix)


def _available() -> int:
    """Bytes that can be had without swapping, caches included; 0 where this is no Linux."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(found[0]) if found else 0


def _disk(name: str, folder: Path, enables: str, fix: str) -> Finding:
    """Look at a folder, or at what it would be made in; a file is tried, for a permission may be anywhere above."""
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    needed = name == "runs/"
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        told = f"{place} cannot be written to: {error.strerror}"
        return Finding(AREA, name, State.FLAWED, told, enables, fix, needed=needed)
    told = f"{free / GIB:.1f} GiB free at {place}"
    if free < ENOUGH_DISK:
        return Finding(AREA, name, State.FLAWED, f"{told}: little", enables, fix)
    return Finding(AREA, name, State.FOUND, told)
