"""polyyolo build: run what ``polyyolo plan`` prints."""

from pathlib import Path
from typing import Any

import click

from polyyolo.cli.build_options import build_options, read
from polyyolo.cli.console import bars, print_json


@click.command()
@build_options
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="engine file to write")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--quiet", is_flag=True, help="draw no progress")
def build(build: dict[str, Any], output: Path, *, as_json: bool, quiet: bool) -> None:
    """Build MODEL, as it is, into an engine; what the builder prints goes to a .log beside it."""
    from polyyolo.engines import build as building
    from polyyolo.engines.plan import make_plan
    from polyyolo.files import plain

    log = output.with_name(f"{output.name}.log")
    with bars(quiet=quiet or as_json) as shown:
        asked = read(build)
        made = make_plan(asked.spec, asked.profile, asked.toolchain, output, asked.options)
        engine = building.build(made, log)
    if as_json:
        told = {key: value for key, value in plain(engine).items() if key != "plan"}
        print_json({**told, **plain(made.command), "notes": [*shown.notes, *made.notes], "log": str(log)})
    else:
        click.echo("\n".join(f"note: {note}" for note in made.notes))
        click.echo(f"{engine.path}: {engine.size_bytes:,} bytes in {engine.build_seconds:.1f} s; log {log}")
