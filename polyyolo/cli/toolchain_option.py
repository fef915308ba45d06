"""The option that names what builds, of every command that builds or plans to."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from polyyolo.records import ToolchainKind

Command = TypeVar("Command", bound=Callable[..., Any])
CHOICES = ("auto", *(kind.value for kind in ToolchainKind))


def toolchain_option(more: str = "") -> Callable[[Command], Command]:
    """Make the option; ``more`` is said behind what it does."""
    told = f"what builds; auto takes what is here{more}"
    return click.option("--toolchain", type=click.Choice(CHOICES), default="auto", show_default=True, help=told)


prepares_option = toolchain_option(", none leaves it at the prepared ONNX")
"""For the commands whose result may be the ONNX alone."""
