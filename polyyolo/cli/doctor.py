"""polyyolo doctor: what this machine can do, and what is missing."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.console import bars, print_json, quiet_option

if TYPE_CHECKING:
    from polyyolo.machine.finding import Diagnosis, Finding

NOT_READY = 3
FOUND, BLOCKS = ("✓", "green"), ("✗", "red")
MARKS = {"found": FOUND, "missing": ("-", "cyan"), "flawed": ("!", "yellow")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@quiet_option
def doctor(*, as_json: bool, quiet: bool) -> None:
    """Tell what this machine can do, what is missing, and what installs it.

    Exits with 0 where polyyolo engine can give an engine here, else with 3.
    """
    from polyyolo.machine.diagnose import diagnose

    rich = _rich_works()
    with bars(quiet=quiet or as_json or not rich):
        found = diagnose()
    if as_json:
        print_json(_plain(found))
    elif rich:
        _draw(found)
    else:
        click.echo("\n".join(_lines(found)))
    raise SystemExit(0 if found.ready else NOT_READY)


def _rich_works() -> bool:
    """Whether the package that draws is itself well."""
    try:
        import rich.progress
        import rich.table  # noqa: F401 - only tried
    except Exception:  # noqa: BLE001 - a broken package fails as it likes
        return False
    return True


def _plain(found: "Diagnosis") -> dict[str, Any]:
    from attrs import asdict

    return asdict(found, value_serializer=lambda _, __, value: str(value) if isinstance(value, Path) else value)


def _rows(found: "Diagnosis") -> Iterator[tuple[str, tuple[str, str], str, str]]:
    """Give area, mark, name and text of each row; packages with which all is well share one."""
    from polyyolo.machine.packages import AREA

    well = [each for each in found.findings if each.area == AREA and each.state.value == "found"]
    area = ""
    for each in found.findings:
        shown = "" if each.area == area else each.area
        if each in well[1:]:
            continue
        area = each.area
        if each in well:
            listed = ", ".join(f"{one.name} {one.got}" for one in well)
            yield shown, FOUND, f"{len(well)} packages", listed
        else:
            yield shown, BLOCKS if each.blocks else MARKS[each.state.value], each.name, _text(each)


def _text(each: "Finding") -> str:
    if each.state.value == "found":
        return each.got
    lines = [each.got, each.enables and f"for: {each.enables}", each.fix and f"fix: {each.fix}"]
    return "\n".join(line for line in lines if line)


def _lines(found: "Diagnosis") -> Iterator[str]:
    """Tell all in plain lines, the answer first."""
    yield found.answer
    for _, (mark, _), name, text in _rows(found):
        first, *more = text.splitlines() or [""]
        yield f"  {mark} {name}: {first}"
        yield from (f"      {line}" for line in more)


def _draw(found: "Diagnosis") -> None:
    """Draw the table, the answer above it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for overflow in ("ellipsis", "ellipsis", "fold"):  # a path or a command that was cut helps nobody
        table.add_column(overflow=overflow)
    for area, (mark, style), name, text in _rows(found):
        if area:
            table.add_row("", Text(area, style="bold"))
        table.add_row(Text(mark, style=style), Text(name, style=style), Text(text))
    console = Console(highlight=False)
    console.print(Text(found.answer, style="bold green" if found.ready else "bold red"))
    console.print()
    console.print(table)
