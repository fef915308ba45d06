"""What an engine takes, as the run that built it wrote it down: nothing has to be loaded for that."""

import json
from collections.abc import Mapping
from pathlib import Path

from polyyolo.errors import InputError
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
