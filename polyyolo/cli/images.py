"""polyyolo images get: pictures for a first run."""

import shutil
from pathlib import Path
from typing import Any

import click

from polyyolo.cli.console import bars, print_json, quiet_option


@click.group()
def images() -> None:
    """Get pictures for a first run."""


@images.command()
@click.argument("name", type=click.Choice(["samples", "coco128"]))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="copy them to this new folder")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@quiet_option
def get(name: str, output: Path | None, **options: Any) -> None:  # noqa: ANN401 - click's
    """Fetch a few free photographs (samples), or 128 labelled ones of COCO (coco128); prints the folder."""
    from polyyolo.images import coco128, samples

    with bars(quiet=options["quiet"] or options["as_json"]) as shown:
        folder = samples.fetch() if name == "samples" else coco128.fetch()
        folder = _copied(folder, output) if output else folder
    if options["as_json"]:
        print_json({"path": str(folder), "notes": shown.notes, "warnings": shown.warnings})
    else:
        click.echo(folder)


def _copied(folder: Path, output: Path) -> Path:
    from polyyolo.errors import InputError
    from polyyolo.files import writable

    if output.exists() and any(output.iterdir()):
        raise InputError(f"{output} is not empty", fix="choose a new folder with -o")
    with writable(output.parent):
        shutil.copytree(folder, output, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    return output
