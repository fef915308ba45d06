"""The option for a picture's height and width, and what a model takes of that."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from polyyolo.errors import InputError
from polyyolo.models.own_size import LARGEST_SIDE

if TYPE_CHECKING:
    from polyyolo.records import ModelSpec

Command = Callable[..., Any]


def size_option(told: str, *, least: int = 1) -> Callable[[Command], Command]:
    """Make --size H W, with what its help says and the smallest side."""
    return click.option("--size", nargs=2, type=click.IntRange(least, LARGEST_SIDE), metavar="H W", help=told)


def refuse_size(spec: "ModelSpec", size: tuple[int, int] | None) -> None:
    """Refuse a size that a model does not take: another than its fixed one, or no multiple of its stride.

    Raises:
        InputError: it takes others.
    """
    if not size:
        return
    sides = spec.image_input.dims[2:]
    if any(isinstance(side, int) and side != wanted for side, wanted in zip(sides, size, strict=True)):
        raise InputError(
            f"{spec.path} takes pictures of {'x'.join(map(str, sides))}, not {size[0]}x{size[1]}",
            fix="leave --size out",
        )
    opened = [wanted for side, wanted in zip(sides, size, strict=True) if not isinstance(side, int)]
    if spec.head.strides and any(side % spec.stride for side in opened):
        whole = " ".join(str(-(-side // spec.stride) * spec.stride) for side in size)
        raise InputError(
            f"{size[0]}x{size[1]} is no multiple of the model's stride, {spec.stride}", fix=f"use --size {whole}"
        )
