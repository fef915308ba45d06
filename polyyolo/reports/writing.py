"""The files that tell of a run: for people, for scripts, and what it takes to make it again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyyolo import files
from polyyolo.records import Run
from polyyolo.reports import markdown, sensitivity_plot
from polyyolo.reports.html import page
from polyyolo.workspace import REPORT

MANIFEST, PAGE, TEXT = "manifest.json", "report.html", "report.md"


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
    files.write_json(folder / REPORT, run)
    files.write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return (REPORT, MANIFEST, *write_for_people(run, folder, manifest))


def write_for_people(run: Run, folder: Path, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Write what can be written again from the record: report.html, report.md and, where it was measured, the plot."""
    files.write_text(folder / PAGE, page.render(run, folder, manifest))
    files.write_text(folder / TEXT, markdown.render(run))
    if not run.sensitivities:
        return PAGE, TEXT
    files.write_text(folder / sensitivity_plot.FILE, sensitivity_plot.svg(run))
    return PAGE, TEXT, sensitivity_plot.FILE


def remove_stale(run: Run) -> None:
    """Remove the plot of an earlier run in the same folder, where this one measured no sensitivities."""
    if not run.sensitivities:
        (run.folder / sensitivity_plot.FILE).unlink(missing_ok=True)
