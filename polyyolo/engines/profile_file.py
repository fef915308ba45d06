"""What a profile file says, before anybody checks whether the shapes make sense."""

import difflib
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from polyyolo.engines.mistakes import Mistakes

BOUNDS = ("min", "opt", "max")


@frozen
class Draft:
    """The shapes of one input as they were written: maybe of different ranks, maybe in disorder."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


Optimizations = tuple[Mapping[str, Draft], ...]


def optimizations_of(data: Mapping[str, Any], mistakes: Mistakes) -> Optimizations:
    """Take the shapes out of a parsed TOML file; what cannot be understood goes to ``mistakes``.

    Returns:
        One mapping of input name to shapes for each ``[[profile]]`` table.
    """
    for key in data:
        if key != "profile":
            mistakes.add(f"it has an unknown key {key!r}", "keep to [[profile]] tables")
    tables = data.get("profile")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        mistakes.add("it has no [[profile]] table", 'write [[profile]], then [profile."*"] with min, opt and max')
        return ()
    return tuple(_inputs_of(table, index, mistakes) for index, table in enumerate(tables))


def _inputs_of(table: Mapping[str, Any], index: int, mistakes: Mistakes) -> Mapping[str, Draft]:
    if not table:
        mistakes.add(f"[[profile]] number {index} is empty", 'write [profile."*"] with min, opt and max below it')
    drafts = {
        name: _draft_of(shapes, f"[[profile]] number {index}, {name}", mistakes) for name, shapes in table.items()
    }
    return {name: draft for name, draft in drafts.items() if draft}


def _draft_of(shapes: object, where: str, mistakes: Mistakes) -> Draft | None:
    if not isinstance(shapes, dict):
        mistakes.add(f"{where} is no table of shapes", "give it min, opt and max, each a list of whole numbers")
        return None
    for key in (key for key in shapes if key not in BOUNDS):
        meant = difflib.get_close_matches(key, BOUNDS, n=1)
        mistakes.add(
            f"{where} has an unknown key {key!r}" + (f"; did you mean {meant[0]}?" if meant else ""),
            "give each input min, opt and max and nothing else",
        )
    bounds = {bound: _shape_of(shapes.get(bound), f"{where}, {bound}", mistakes) for bound in BOUNDS}
    return None if None in bounds.values() else Draft(**{bound: shape or () for bound, shape in bounds.items()})


def _shape_of(shape: object, where: str, mistakes: Mistakes) -> tuple[int, ...] | None:
    if shape is None:
        mistakes.add(f"{where} is missing", "give each input min, opt and max; the same shape three times is allowed")
        return None
    if not isinstance(shape, list) or not shape or any(type(size) is not int for size in shape):
        mistakes.add(f"{where} is {shape!r}", "write a shape as a list of whole numbers, as [1, 3, 640, 640]")
        return None
    return tuple(shape)
