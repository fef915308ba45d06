"""Read an earlier run back from its folder, which may have been moved since."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from polyyolo import __version__, files, progress
from polyyolo.errors import InputError
from polyyolo.quantization.placement import CHOSEN, FloatBudget
from polyyolo.records import Run
from polyyolo.reports.writing import MANIFEST
from polyyolo.workspace import REPORT


def read_run(folder: Path) -> Run:
    """Read the record of a run; its folder is the one that is named here.

    Raises:
        InputError: the folder holds no run, or its record is damaged or of another version.
    """
    if not folder.is_dir():
        what = "is a file, not the folder of a run" if folder.exists() else "is not there"
        raise InputError(f"{folder} {what}", fix="name the folder that polyyolo engine wrote to; it prints it last")
    if not (folder / REPORT).is_file():
        raise InputError(
            f"{folder} holds no {REPORT}: it is not the folder of a finished run",
            fix="name the folder that polyyolo engine wrote to; it prints it last",
        )
    try:
        run = files.read_json(folder / REPORT, Run)
    except InputError as error:
        raise InputError(error.message, fix=_fix(read_manifest(folder))) from error
    return evolve(run, folder=folder)


def float_of(run: Run) -> FloatBudget:
    """Say what a run kept in float of its own choice, by name: what no INT8 can have stays in float anyway."""
    return FloatBudget(names=tuple(layer.name for layer in run.layers if layer.reason in CHOSEN))


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """Read a run's manifest; nothing, with a warning, where it is lost or damaged: a report stands without it."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    progress.warn(
        f"{folder / MANIFEST} is lost or damaged: versions, hashes and command lines are not told",
        "run polyyolo engine again into the same folder: what is still valid is reused",
    )
    return {}


def _fix(manifest: Mapping[str, Any]) -> str:
    """Name the version that wrote the run, where it is another."""
    versions = manifest.get("versions")
    made_by = versions.get("polyyolo") if isinstance(versions, dict) else None
    if made_by and made_by != __version__:
        return f"polyyolo {made_by} wrote it, this is {__version__}: use that version, or run polyyolo engine again"
    return "run polyyolo engine again into the same folder: what is still valid is reused"
