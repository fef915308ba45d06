"""Which shapes an engine is measured at: asked for as batches, as shapes or not at all, and only what it takes."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from polyyolo.engines.trtexec_shapes import read_shapes, spelled
from polyyolo.errors import InputError
from polyyolo.records import ShapeRange

Shapes = Mapping[str, tuple[int, ...]]
UNBOUNDED = 2**31 - 1
"""Largest size of an axis of which only the engine knows the range."""


@frozen
class Point:
    """One thing to measure.

    Attributes:
        shapes: input name -> shape, for every input.
        profile: number of the optimisation profile that holds them.
    """

    shapes: Shapes
    profile: int = 0


def points(
    profiles: Sequence[Mapping[str, ShapeRange]], batches: Sequence[int] = (), asked: Sequence[str] = ()
) -> tuple[Point, ...]:
    """Choose what to measure: each shape at each batch; without either, what profile 0 is best at.

    Args:
        profiles: what the engine takes, for each of its optimisation profiles.
        batches: pictures of a query; the other axes are those of the shapes, or of a profile's opt.
        asked: as "images:8x3x640x640", more inputs behind a comma; the name may be left out where there is one input.

    Raises:
        InputError: no input is known, or not this one, or outside every profile; the message has the range.
    """
    if not any(profiles):
        raise InputError(
            "nothing here tells which inputs the engine has",
            fix="name them and their shapes: --shape images:1x3x640x640",
        )
    bases = [_asked(text, profiles) for text in asked] or [{}]
    return tuple(_placed(base, batch, profiles) for base in bases for batch in (batches or (None,)))


def batch_of(shapes: Shapes) -> int:
    """Tell how many pictures a query has: the first axis of the first input with four axes, else of the first input."""
    return next((shape[0] for shape in shapes.values() if len(shape) == 4), next(iter(shapes.values()))[0])


def read(text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Read shapes that were asked for, as (name, shape); a name that was left out is empty.

    Raises:
        InputError: the text is something else.
    """
    try:
        shapes = read_shapes(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is no shape", fix="write it as images:8x3x640x640, more inputs behind a comma"
        ) from error
    names = [name for name, _ in shapes]
    if len(set(names)) < len(names):
        raise InputError(f"{text!r} names an input twice", fix="give each input one shape; repeat the option for more")
    return shapes


def _asked(text: str, profiles: Sequence[Mapping[str, ShapeRange]]) -> Shapes:
    inputs = list(profiles[0])
    shapes = {name or _only(inputs, text): shape for name, shape in read(text)}
    for name in shapes:
        if name not in inputs:
            raise InputError(f"the engine has no input {name!r}", fix=f"its inputs are {', '.join(inputs)}")
    return shapes


def _only(inputs: Sequence[str], text: str) -> str:
    if len(inputs) > 1:
        raise InputError(
            f"{text!r} does not say which input it is of", fix=f"write {inputs[0]}:{text}; inputs: {', '.join(inputs)}"
        )
    return inputs[0]


def _placed(base: Shapes, batch: int | None, profiles: Sequence[Mapping[str, ShapeRange]]) -> Point:
    """Find the first profile that holds what is asked; what is not asked is of its opt."""
    for number, ranges in enumerate(profiles):
        shapes = {name: _with(base.get(name, bounds.opt), batch, bounds) for name, bounds in ranges.items()}
        if all(_holds(ranges[name], shape) for name, shape in shapes.items()):
            return Point(shapes, number)
    raise _outside(base, batch, profiles)


def _with(shape: tuple[int, ...], batch: int | None, bounds: ShapeRange) -> tuple[int, ...]:
    """Change the batch, except of an input whose first axis is fixed at one size and is no batch: a scalar, a table."""
    if batch is None or not shape or (len(shape) != 4 and bounds.min[0] == bounds.max[0]):
        return shape
    return (batch, *shape[1:])


def _holds(bounds: ShapeRange, shape: tuple[int, ...]) -> bool:
    return len(shape) == len(bounds.min) and all(
        low <= size <= high for low, size, high in zip(bounds.min, shape, bounds.max, strict=True)
    )


def _outside(base: Shapes, batch: int | None, profiles: Sequence[Mapping[str, ShapeRange]]) -> InputError:
    asked = spelled({name: _with(base.get(name, bounds.opt), batch, bounds) for name, bounds in profiles[0].items()})
    ranges = "; or ".join(", ".join(_range(name, bounds) for name, bounds in each.items()) for each in profiles)
    return InputError(
        f"{asked} is outside what the engine takes: {ranges}",
        fix="ask for what is inside, or build the engine with a wider profile",
    )


def _range(name: str, bounds: ShapeRange) -> str:
    return f"{name} {' x '.join(_axis(low, high) for low, high in zip(bounds.min, bounds.max, strict=True))}"


def _axis(low: int, high: int) -> str:
    if high == UNBOUNDED:
        return "any"
    return str(low) if low == high else f"{low}..{high}"
