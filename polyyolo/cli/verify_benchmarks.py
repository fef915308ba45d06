"""Benchmarks from files, for limits on speed."""

import json
from pathlib import Path

from polyyolo import files
from polyyolo.errors import InputError
from polyyolo.records import Benchmark
from polyyolo.verification.subject import Subject

WRITE = "write it with polyyolo bench ENGINE --json"


def read_benchmarks(path: Path, subject: Subject | None = None) -> tuple[Benchmark, ...]:
    """Read what ``polyyolo bench --json`` printed: one benchmark, a list, or an object with a list ``benchmarks``.

    Args:
        path: the file.
        subject: what must have been measured: it, or the engine that its run built; None takes any engine.

    Raises:
        InputError: the file holds no benchmark, or that of another engine.
    """
    found = tuple(files.structure(row, Benchmark) for row in _rows(path))
    if not found:
        raise InputError(f"{path} holds no benchmark", fix=WRITE)
    others = [each.engine for each in found if subject and each.sha256 not in subject.hashes]
    if subject and others:
        raise InputError(
            f"{path} tells how fast {others[0]} was, which is not {subject.spec.path}, nor built from it by its run",
            fix="measure this engine, or verify the one that was measured",
        )
    return found


def _rows(path: Path) -> list[object]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}", fix=WRITE) from error
    rows = data.get("benchmarks", data) if isinstance(data, dict) else data
    return rows if isinstance(rows, list) else [rows]
