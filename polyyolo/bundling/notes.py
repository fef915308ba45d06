"""What the shell scripts write down: a name and a value in each line."""

import math
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from polyyolo.errors import InputError
from polyyolo.records import Route
from polyyolo.releases import spelled

LARGEST = 2**63 - 1
"""Bytes of a file, at most: that is what file systems count in."""
AGAIN = "copy the folder back again, whole, or run build.sh and bench.sh there again"


@frozen
class BuildNotes:
    """What ``build.sh`` wrote of an engine.

    Attributes:
        release: of TensorRT, as "10.16.0".
        seconds: that trtexec took.
        sha256: of the engine; empty where no program there computes it.
        bundle: SHA-256 of the list of the bundle's checksums; empty likewise.
    """

    release: str
    route: Route
    seconds: float
    size_bytes: int
    sha256: str
    bundle: str


def read_notes(path: Path) -> Mapping[str, str]:
    """Read ``name=value`` lines.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix=AGAIN) from error
    return dict(line.split("=", 1) for line in lines if "=" in line)


def read_build(path: Path) -> BuildNotes:
    """Read what ``build.sh`` wrote.

    Raises:
        InputError: the file cannot be read, lacks a line, or has one that says nothing.
    """
    notes = read_notes(path)
    missing = [name for name in ("number", "route", "seconds", "bytes", "sha256") if name not in notes]
    if missing:
        raise InputError(f"{path} does not tell {', '.join(missing)}", fix=AGAIN)
    release = spelled(int(notes["number"])) if notes["number"].isdecimal() else ""
    try:
        route, seconds, size = Route(notes["route"]), float(notes["seconds"]), int(notes["bytes"])
    except ValueError as error:
        raise InputError(f"{path} cannot be understood: {error}", fix=AGAIN) from error
    odd = {"number": not release, "seconds": not math.isfinite(seconds), "bytes": not 0 < size <= LARGEST}
    if any(odd.values()):
        told = ", ".join(f"{name}={notes[name]}" for name in odd if odd[name])
        raise InputError(f"{path} cannot be understood: {told}", fix=AGAIN)
    return BuildNotes(release, route, seconds, size, notes["sha256"], notes.get("bundle", ""))
