"""polyyolo models list|get: the models that can be had by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.console import bars, print_json, quiet_option
from polyyolo.cli.size import size_option

if TYPE_CHECKING:
    from polyyolo.models.catalogue import Entry


@click.group()
def models() -> None:
    """List the models that can be had by name, or get one as ONNX."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def list_models(*, as_json: bool) -> None:
    """List the models that can be had by name."""
    from polyyolo.models.catalogue import entries

    if as_json:
        print_json([_described(entry) for entry in entries()])
        return
    row = "{:<12} {:<9} {:>7} {:>9} {:>8}  {:<8} {:<6}  {}".format
    click.echo(row("name", "family", "classes", "input", "MB", "source", "cached", "licence"))
    for entry in entries():
        size = sum(remote.size for remote in entry.files) / 1e6
        mirrored = all(remote.mirrors for remote in entry.files)
        source = "mirrored" if mirrored else "official"
        sides = "x".join(map(str, entry.input))
        cached = "yes" if entry.cached else "no"
        click.echo(row(entry.name, entry.family, entry.classes, sides, f"{size:.1f}", source, cached, entry.licence))
    click.echo("mirrored: also to be had where only a package index is reachable")


def _described(entry: "Entry") -> dict[str, Any]:
    """Everything about one model, as plain data."""
    from polyyolo.files import plain

    described: dict[str, Any] = plain(entry)
    return {**described, "cached": entry.cached, "paths": [str(path) for path in entry.paths]}


@models.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="copy the ONNX to this file")
@click.option(
    "--head", type=click.Choice(["decoded", "raw"]), help="boxes, or one map a stride  [decoded; darknet: raw]"
)
@click.option("--dynamic", is_flag=True, help="leave batch, height and width open")
@size_option("height and width  [as trained]", least=32)
@click.option("--batch", default=1, show_default=True, type=click.IntRange(min=1), help="pictures a run")
@click.option("--opset", default=17, show_default=True, type=click.IntRange(min=11), help="of ONNX's operators")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@quiet_option
def get(name: str, output: Path | None, **options: Any) -> None:  # noqa: ANN401 - click's
    """Fetch the model NAME and convert it to ONNX; prints the path."""
    from polyyolo.models.catalogue import find_or_refuse
    from polyyolo.models.conversion import Conversion
    from polyyolo.models.zoo import fetched

    if options["dynamic"] and (options["size"] or options["batch"] > 1):
        raise click.UsageError("--dynamic leaves batch, height and width open: leave it out, or --size and --batch")
    how = Conversion(**{key: options[key] for key in ("head", "dynamic", "size", "batch", "opset")})
    entry = find_or_refuse(name)
    with bars(quiet=options["quiet"] or options["as_json"]) as shown:
        path = fetched(entry, how)
        path = _copied(path, output) if output else path
    if options["as_json"]:
        print_json({"path": str(path), "licence": entry.licence, "notes": shown.notes, "warnings": shown.warnings})
    else:
        click.echo(path)


def _copied(path: Path, output: Path) -> Path:
    import shutil

    from polyyolo.files import refuse_same, replacing

    refuse_same(output, path)
    with replacing(output) as temporary:
        shutil.copyfile(path, temporary)
    return output
