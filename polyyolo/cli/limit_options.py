"""Options of what a model must keep to pass, the same on every verb that judges one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click

from polyyolo.cli.ranges import Finite
from polyyolo.records import USUAL, Limits

Command = TypeVar("Command", bound=Callable[..., Any])


def limit_options(command: Command) -> Command:
    """Give a command --max-drop, --min-agreement, --max-latency-ms, --min-speedup and --baseline."""
    for add in (
        click.option(
            "--baseline",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="what polyyolo bench wrote of the engine to be faster than",
        ),
        click.option(
            "--min-speedup", type=Finite(0, min_open=True), help="how many times faster than the baseline, at least"
        ),
        click.option(
            "--max-latency-ms", type=Finite(0, min_open=True), help="median of the GPU's work for a query, at most"
        ),
        click.option(
            "--min-agreement",
            type=Finite(0, 1),
            default=USUAL.limits.min_agreement,
            show_default=True,
            help="F1 of boxes at IoU 0.9",
        ),
        click.option(
            "--max-drop",
            type=Finite(0),
            default=USUAL.limits.max_drop,
            show_default=True,
            help="points of mAP50-95 that may be lost",
        ),
    ):
        command = add(command)
    return command


def taken_out(options: dict[str, Any]) -> Limits:
    """Take the limits out of a command's options; the baseline stays there, which is no limit by itself."""
    return Limits(**{field.name: options.pop(field.name) for field in attrs.fields(Limits)})
