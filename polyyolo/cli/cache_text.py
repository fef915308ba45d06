"""What ``polyyolo cache`` prints for people."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from polyyolo.cli.console import printable

if TYPE_CHECKING:
    from polyyolo.calibration.cache_file import Cache
    from polyyolo.calibration.exchange import Difference
    from polyyolo.quantization.cache_fit import Fitness

SHOWN_NAMES = 8


def scale_table(cache: "Cache") -> None:
    """Print every scale; names are shown whole, brackets and all."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("tensor", "scale", "largest magnitude")
    table.columns[0].overflow = "fold"
    for name, scale in cache.scales.items():
        table.add_row(Text(printable(name)), f"{scale:.6g}", f"{cache.amax(name):.6g}")
    Console().print(table)


def fitness_lines(path: Path, fitness: "Fitness", *, every: bool = False) -> Iterator[str]:
    """Say whether the cache may be used, then what was found, errors first; of tensors the first few, unless all."""
    yield f"{path}: {'must not be used' if fitness.errors else 'may be used'}, {len(fitness.cache.scales)} scales"
    for finding in fitness.findings:
        yield f"{finding.severity.value}: {finding.message}"
        yield f"  fix: {finding.fix}"
    yield from _listed("tensors without a scale, which stay in float", fitness.missing, every=every)
    yield from _listed("scales of tensors that are not in the model", fitness.extra, every=every)


def _listed(what: str, names: tuple[str, ...], *, every: bool) -> Iterator[str]:
    if not names:
        return
    shown = names if every else names[:SHOWN_NAMES]
    yield f"{len(names)} {what}:"
    yield from (f"  {name}" for name in shown)
    if len(shown) < len(names):
        yield f"  and {len(names) - len(shown)} more, which --all lists"


def difference_lines(found: "Difference", count: int) -> Iterator[str]:
    """List what differs, at most ``count`` tensors of each kind."""
    if found.headers:
        yield f"headers: {found.headers[0]} and {found.headers[1]}"
    for change in found.changes[:count]:
        yield f"{change.ratio:10.4g}x  {change.first:.6g} -> {change.second:.6g}  {change.tensor}"
    for label, names in (("only in the first", found.only_first), ("only in the second", found.only_second)):
        yield from (f"{label}: {name}" for name in names[:count])
    yield (
        f"{len(found.changes)} scales differ, {found.same} are the same, {len(found.only_first)} tensors are only in "
        f"the first, {len(found.only_second)} only in the second"
    )
