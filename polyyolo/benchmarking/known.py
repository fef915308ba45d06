"""What an engine takes, as the run that built it wrote it down, or as TensorRT in this process tells it."""

import json
from collections.abc import Mapping
from pathlib import Path

from polyyolo.engines.bindings import foreign, version_here
from polyyolo.engines.engine_file import EngineFile
from polyyolo.engines.inside import look_inside
from polyyolo.errors import InputError, PolyYoloError
from polyyolo.files import structure
from polyyolo.records import Profile, ShapeRange
from polyyolo.workspace import REPORT


def profiles_beside(engine: Path, sha256: str) -> tuple[Mapping[str, ShapeRange], ...]:
    """Read the profiles from the report beside an engine; empty where there is none, or it is of another engine."""
    try:
        report = json.loads((engine.parent / REPORT).read_text(encoding="utf-8"))
        if report["engine"]["sha256"] != sha256:
            return ()
        return structure(report["profile"], Profile).optimizations
    except (OSError, ValueError, KeyError, TypeError, RecursionError, InputError):
        return ()


def profiles_in_python(engine: EngineFile) -> tuple[Mapping[str, ShapeRange], ...]:
    """Load an engine and ask it; empty where Python's TensorRT is not of its version, or cannot load it."""
    if not version_here(engine.kind) or foreign(engine):
        return ()
    try:
        return look_inside(engine).profiles
    except PolyYoloError:
        return ()
