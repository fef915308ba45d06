"""Options of how a model is calibrated and quantized, the same on every verb that does so."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from polyyolo.cli.ranges import Finite
from polyyolo.records import USUAL

Command = TypeVar("Command", bound=Callable[..., Any])


def quantizing_options(command: Command) -> Command:
    """Give a command --count, --seed, --method, --keep-float and --budget."""
    for add in (
        click.option(
            "--budget",
            type=Finite(0, 1),
            default=USUAL.budget,
            show_default=True,
            help="share of the work that may be in float with auto or stem, the head's with it",
        ),
        click.option(
            "--keep-float",
            multiple=True,
            default=USUAL.keep_float,
            show_default=True,
            metavar="auto|stem|none|NODE",
            help="what stays in float besides the head: what costs the most, what is nearest the image, or by name; "
            "may be repeated",
        ),
        click.option(
            "--method",
            default=USUAL.method,
            show_default=True,
            help="mse-seen, mse, max, entropy, percentile-P, or auto: what measures best",
        ),
        click.option("--seed", type=int, default=USUAL.seed, show_default=True, help="of the choice of pictures"),
        click.option(
            "--count",
            type=click.IntRange(1),
            default=USUAL.count,
            show_default=True,
            help="pictures to calibrate with, at most",
        ),
    ):
        command = add(command)
    return command
