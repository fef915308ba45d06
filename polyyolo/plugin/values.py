"""What options of ``polygraphy run`` may hold, and how one that cannot be meant is refused."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from polygraphy.logger import G_LOGGER

Number = TypeVar("Number", int, float)


def refuse(message: str, fix: str) -> None:
    """Refuse options.

    Raises:
        PolygraphyException: always; Polygraphy ends with status 1.
    """
    G_LOGGER.critical(f"polyyolo: {message}\nfix: {fix}")


def share(text: str) -> float:
    """Read a share, above 0 and at most 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    return _parsed(float, text, "above 0 and at most 1", lambda value: 0 < value <= 1)


def above_zero(text: str) -> int:
    """Read a whole number above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    return _parsed(int, text, "a whole number above 0", lambda value: value > 0)


def _parsed(kind: Callable[[str], Number], text: str, wanted: str, allowed: Callable[[Number], bool]) -> Number:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not allowed(value):
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return value
