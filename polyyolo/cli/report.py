"""polyyolo report: write a run's report again."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.console import print_json
from polyyolo.errors import InputError

if TYPE_CHECKING:
    from polyyolo.records import Run

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=PATH)
@click.option("-o", "--output", type=PATH, help="write only the page, to this .html file  [all reports, into RUN]")
@click.option("--json", "as_json", is_flag=True, help="print what was written as JSON")
def report(run: Path, output: Path | None, *, as_json: bool) -> None:
    """Write report.html, report.md and the plots of RUN, the folder of an earlier run, again."""
    from polyyolo import files
    from polyyolo.reports import writing
    from polyyolo.reports.html import page

    started = time.perf_counter()
    record, manifest = _read(run)
    if output:
        _refuse_folder(output)
        files.write_text(output, page.render(record, run, manifest))
        written = [output]
    else:
        with files.locked(run):
            written = [run / name for name in writing.write_for_people(record, run, manifest)]
    if as_json:
        told = [{"path": str(path), "size_bytes": path.stat().st_size} for path in written]
        outcome = record.verdict.outcome.value
        print_json({"outcome": outcome, "written": told, "seconds": round(time.perf_counter() - started, 3)})
    else:
        click.echo("\n".join(f"{path}: {path.stat().st_size / 1e6:.2f} MB" for path in written))


def _read(folder: Path) -> "tuple[Run, Mapping[str, Any]]":
    """Read the record of a run, which may have been moved since, and its manifest where there is one.

    Raises:
        InputError: the folder holds no run, or one of another version.
    """
    from attrs import evolve

    from polyyolo import files
    from polyyolo.records import Run
    from polyyolo.reports.writing import RECORD

    if not (folder / RECORD).is_file():
        raise InputError(
            f"{folder} holds no {RECORD}: it is not the folder of a finished run",
            fix="name the folder that polyyolo engine wrote to; it prints it last",
        )
    manifest = _manifest(folder)
    try:
        record = files.read_json(folder / RECORD, Run)
    except InputError as error:
        raise InputError(f"{folder / RECORD}: {error.message}", fix=_fix(manifest)) from error
    return evolve(record, folder=folder), manifest


def _manifest(folder: Path) -> Mapping[str, Any]:
    """Give nothing where the manifest is lost or damaged: the report stands without it."""
    from polyyolo.reports.writing import MANIFEST

    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _fix(manifest: Mapping[str, Any]) -> str:
    """Name the version that wrote the run, where it is another."""
    from polyyolo import __version__

    versions = manifest.get("versions")
    made_by = versions.get("polyyolo") if isinstance(versions, dict) else None
    if made_by and made_by != __version__:
        return f"polyyolo {made_by} wrote it, this is {__version__}: use that version, or run polyyolo engine again"
    return "run polyyolo engine again into the same folder: what is still valid is reused"


def _refuse_folder(output: Path) -> None:
    if output.is_dir():
        raise InputError(f"{output} is a folder", fix=f"name a file: -o {output / 'report.html'}")
