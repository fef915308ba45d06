"""The files that tell of a run: for people, for scripts, and what it takes to make it again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyyolo import files
from polyyolo.records import Run
from polyyolo.reports import markdown

RECORD, MANIFEST = "report.json", "manifest.json"


def write(run: Run, folder: Path, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Write all reports of a run that has just been made.

    Args:
        run: its record.
        folder: where its pictures lie now, and the reports will.
        manifest: from ``reports.manifest``.

    Returns:
        the names of the files, below ``folder``.

    Raises:
        InputError: the folder cannot be written to.
        ToolchainError: the disk is full.
    """
    files.write_json(folder / RECORD, run)
    files.write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return (RECORD, MANIFEST, *write_for_people(run, folder))


def write_for_people(run: Run, folder: Path) -> tuple[str, ...]:
    """Write those that can be written again from the record alone."""
    files.write_text(folder / "report.md", markdown.render(run))
    return ("report.md",)
