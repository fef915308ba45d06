"""The option for a head's family, as every command has it."""

from collections.abc import Callable, Collection
from typing import Any

import click

from polyyolo.records import HeadKind

Command = Callable[..., Any]


def head_option(
    told: str = "the head's family  [by structure]", but: Collection[HeadKind] = ()
) -> Callable[[Command], Command]:
    """Make --head, with what its help says and the families that it does not take; the command gets a ``HeadKind``."""
    families = click.Choice([each.value for each in HeadKind if each not in but])
    return click.option("--head", type=families, callback=_read, help=told)


def _read(_: click.Context, __: click.Parameter, family: str | None) -> HeadKind | None:
    return HeadKind(family) if family else None
