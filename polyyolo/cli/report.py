"""polyyolo report: write a run's report again, or with what came back from another machine."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from polyyolo.cli.console import bars, print_json
from polyyolo.cli.engine import EXIT
from polyyolo.errors import InputError

if TYPE_CHECKING:
    from polyyolo.records import Run

PATH = click.Path(path_type=Path)
PAGES = (".html", ".htm")


@click.command()
@click.argument("run", type=PATH)
@click.option("--from", "bundle", type=PATH, metavar="DIR", help="a bundle that came back: its results join the run")
@click.option("-o", "--output", type=PATH, help="write only the page, to this .html file  [all reports, into RUN]")
@click.option("--json", "as_json", is_flag=True, help="print what was written as JSON")
def report(run: Path, bundle: Path | None, output: Path | None, *, as_json: bool) -> None:
    """Write report.html, report.md and the plots of RUN, the folder of an earlier run, again.

    With --from, a verdict of FAIL ends with exit code 1.
    """
    from polyyolo.files import plain
    from polyyolo.reports.summary import headline, verdict_of

    started = time.perf_counter()
    with bars(quiet=as_json) as shown:
        record = _record(run, bundle)
        written = _write_page(record, output) if output else _write_all(record, joined=bundle is not None)
    if as_json:
        outcome, told = record.verdict.outcome.value, [{"path": str(path), "bytes": _size(path)} for path in written]
        seconds = round(time.perf_counter() - started, 3)
        checks = plain(record.verdict.checks)
        print_json(
            {"outcome": outcome, "checks": checks, "written": told, "seconds": seconds, "warnings": shown.warnings}
        )
    else:
        click.echo(headline(record) if bundle is None else verdict_of(record))
        click.echo("\n".join(f"{path}: {_size(path):,} bytes" for path in written))
    if bundle is not None:
        raise SystemExit(EXIT[record.verdict.outcome])


def _record(run: Path, bundle: Path | None) -> "Run":
    """Read the run, and join to it what came back."""
    from attrs import evolve

    from polyyolo import progress
    from polyyolo.reports.reading import read_run

    record = read_run(run)
    if bundle is None:
        return record
    from polyyolo.bundling.returned import merged, read_back

    with progress.recording() as told:
        joined = merged(record, read_back(bundle, record))
    return evolve(joined, warnings=tuple(dict.fromkeys((*record.warnings, *told.warnings))))


def _write_page(record: "Run", output: Path) -> list[Path]:
    from polyyolo import files
    from polyyolo.reports.html import page
    from polyyolo.reports.reading import read_manifest

    if output.is_dir():
        raise InputError(f"{output} is a folder", fix=f"name a file: -o {output / 'report.html'}")
    if output.suffix.lower() not in PAGES:
        raise InputError(f"{output} is no name of a page", fix=f"end it as one: -o {output.with_suffix(PAGES[0])}")
    files.write_text(output, page.render(record, record.folder, read_manifest(record.folder)))
    return [output]


def _write_all(record: "Run", *, joined: bool) -> list[Path]:
    """Write all that the record gives, and the record itself where something joined it."""
    from polyyolo import files
    from polyyolo.reports import writing
    from polyyolo.reports.reading import read_manifest
    from polyyolo.workspace import REPORT

    folder = record.folder
    with files.locked(folder):
        names = writing.write_for_people(record, folder, read_manifest(folder))
        if joined:
            files.write_json(folder / REPORT, record)
            names = (REPORT, *names)
    return [folder / name for name in names]


def _size(path: Path) -> int:
    return path.stat().st_size
