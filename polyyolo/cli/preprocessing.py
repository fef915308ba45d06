"""The options that change a model's preprocessing, the same on every verb that takes pictures."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from polyyolo.images.overrides import COLOURS, FITS, OPTIONS, from_text

Command = TypeVar("Command", bound=Callable[..., Any])


def checked(_: click.Context, option: click.Parameter, text: str | None) -> Any:  # noqa: ANN401 - as the option has it
    """Read an option's text, or tell what is wanted."""
    if text is None:
        return None
    try:
        return from_text(str(option.name), text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def preprocessing_options(command: Command) -> Callable[..., Any]:
    """Give a command --fit, --pad, --colour, --scale, --mean and --std.

    The command gets those that were given as one mapping named ``overrides``, ready for
    ``preprocessing_for(spec, size, **overrides)``.
    """

    @wraps(command)
    def collecting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the command takes and returns
        given = {name: kwargs.pop(name) for name in OPTIONS}
        kept = {name: value for name, value in given.items() if value is not None}
        return command(*args, overrides=kept, **kwargs)

    for add in (
        click.option("--std", metavar="a,b,c", callback=checked, help="divide by this last, one or three numbers"),
        click.option(
            "--mean", metavar="a,b,c", callback=checked, help="subtract this after scaling, one or three numbers"
        ),
        click.option("--scale", metavar="factor", callback=checked, help="multiply 0..255 with this  [1/255]"),
        click.option("--colour", type=click.Choice(COLOURS), help="channel order that the model wants  [rgb]"),
        click.option("--pad", metavar="0-255", callback=checked, help="grey around a padded picture  [114]"),
        click.option(
            "--fit", type=click.Choice(FITS), help="pad all around, right and below, or not at all  [letterbox]"
        ),
    ):
        collecting = add(collecting)
    return collecting
