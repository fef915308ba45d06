"""polyyolo inspect qdq: what TensorRT would refuse, run slowly or get wrong in a Q/DQ model, and --fix."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.console import bars, print_json
from polyyolo.cli.size import refuse_size, size_option

if TYPE_CHECKING:
    from polyyolo.quantization.lint.rules import Finding, Rule
    from polyyolo.records import ModelSpec

SHOWN_NAMES = 3
STYLES = {"error": "red", "warning": "yellow", "info": "dim"}


@click.command()
@click.argument("model")
@size_option("height and width for counting the work  [the model's own, or 640 640]")
@click.option("--fix", is_flag=True, help="mend what can be mended without pictures, and write it to --output")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="the .onnx that --fix writes")
@click.option("--strict", is_flag=True, help="exit with 1 for warnings too, not only for errors")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def qdq(  # noqa: PLR0913 - one parameter an option
    model: str, size: tuple[int, int] | None, output: Path | None, *, fix: bool, strict: bool, as_json: bool
) -> None:
    """Hold MODEL, an ONNX with Q/DQ nodes from any tool, to TensorRT's rules.

    Exits with 1 when there are errors; after --fix, when there are errors left.
    """
    from polyyolo.files import refuse_same
    from polyyolo.models.own_size import own_size
    from polyyolo.models.reading import files_of
    from polyyolo.models.spec import load, read_spec
    from polyyolo.models.zoo import locate
    from polyyolo.quantization.lint.run import lint

    if fix != (output is not None):
        raise click.UsageError("--fix and --output go together: --fix mends, --output says where to")
    with bars(quiet=as_json):
        path = locate(model)
        if output:
            refuse_same(output, *files_of(path))
        spec = read_spec(path)
        refuse_size(spec, size)
        shape = size or own_size(spec)
        found = lint(load(spec.path), spec, shape)
    left, notes = (found, ()) if output is None else _fixed(spec, output, shape)
    if as_json:
        print_json({"model": str(spec.path), "findings": _grouped(found), **_after(output, left, notes)})
    else:
        _print(spec.path, found)
        _print_after(output, left, notes)
    if any(finding.rule.severity in (("error", "warning") if strict else ("error",)) for finding in left):
        raise click.exceptions.Exit(1)


def _fixed(spec: "ModelSpec", output: Path, size: tuple[int, int]) -> "tuple[tuple[Finding, ...], tuple[str, ...]]":
    """Write the mended model, and give what is left to find in it and what was mended."""
    from polyyolo.models.spec import load
    from polyyolo.quantization.lint.run import findings
    from polyyolo.quantization.mend import mend_file

    mended, notes = mend_file(spec, output)
    return findings(load(mended.path), mended, size), notes


def _grouped(found: "Sequence[Finding]") -> list[dict[str, Any]]:
    """Gather findings by rule, as JSON has them."""
    from polyyolo.files import plain

    return [
        {
            **plain(rule),
            "places": [
                {"names": list(each.names), "detail": each.detail, "mendable": each.mendable} for each in findings
            ],
        }
        for rule, findings in _by_rule(found).items()
    ]


def _by_rule(found: "Sequence[Finding]") -> "dict[Rule, list[Finding]]":
    by_rule: dict[Rule, list[Finding]] = {}
    for finding in found:
        by_rule.setdefault(finding.rule, []).append(finding)
    return by_rule


def _after(output: Path | None, left: "Sequence[Finding]", notes: Sequence[str]) -> dict[str, Any]:
    return {"mended": {"model": str(output), "notes": list(notes), "findings": _grouped(left)}} if output else {}


def _print(path: Path, found: "Sequence[Finding]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("rule", "places", "where", "what it is, what it costs, what to do", title=Text(str(path)))
    for column in table.columns[2:]:
        column.overflow = "fold"  # a name or a fix that was cut is of no use
    for rule, findings in _by_rule(found).items():
        if rule.severity == "info":
            continue
        mendable = sum(finding.mendable for finding in findings)
        count = f"{len(findings)}\n{mendable or 'none'} by --fix"
        told = Text(f"{rule.message}\ncosts: {rule.cost}\nfix: {rule.fix}")
        head = Text(f"{rule.name}\n{rule.severity.value}", style=STYLES[rule.severity.value])
        table.add_row(head, count, Text(_places(findings)), told, end_section=True)
    console = Console()
    if table.rows:
        console.print(table)
    console.print(_summary(found), markup=False, highlight=False)


def _places(findings: "Sequence[Finding]") -> str:
    lines = [
        ", ".join(finding.names[:SHOWN_NAMES]) + (f": {finding.detail}" if finding.detail else "")
        for finding in findings[:SHOWN_NAMES]
    ]
    more = len(findings) - SHOWN_NAMES
    return "\n".join(lines + ([f"and {more} more"] if more > 0 else []))


def _summary(found: "Sequence[Finding]") -> str:
    """Count what was found, and tell the share of INT8."""
    counts = {name: sum(finding.rule.severity == name for finding in found) for name in ("error", "warning")}
    told = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items() if count)
    shares = [finding.detail for finding in found if finding.rule.severity == "info"]
    return f"{told or 'no mistakes found'}; in INT8: {'; '.join(shares)}"


def _print_after(output: Path | None, left: "Sequence[Finding]", notes: Sequence[str]) -> None:
    if output is None:
        return
    click.echo(f"{output}: {', '.join(notes) or 'nothing that could be mended'}")
    click.echo(f"left: {_summary(left)}")
    for rule, findings in _by_rule(left).items():
        if rule.severity != "info":
            click.echo(f"  {rule.severity.value} {rule.name}: {len(findings)}, e.g. {_places(findings[:1])}")
