"""What a pickle is read into, besides Python's own containers and scalars."""

from typing import Any

from attrs import define, frozen


@frozen
class Name:
    """A class or function that the file names: a word, never looked up."""

    path: str


@define(eq=False)
class Built:
    """What calling ``kind`` with ``args`` would have given, and the state it would have been given then."""

    kind: str
    args: tuple[Any, ...]
    state: Any = None


@frozen
class Storage:
    """A persistent id: the place of a tensor's numbers in the zip, as the file states it."""

    id: Any


def brief(value: object) -> str:
    """Describe a value in a few words: what comes from a file may be of any size, depth and alphabet."""
    if isinstance(value, Built):
        return f"a {value.kind}"
    if isinstance(value, str | int | float | bool | None):
        return ascii(value[:40] if isinstance(value, str) else value)
    return f"a {type(value).__name__}"


class Refused(Exception):  # noqa: N818 - an inner signal; the caller turns it into a ModelError with the path
    """The pickle is malformed; the text says how."""
