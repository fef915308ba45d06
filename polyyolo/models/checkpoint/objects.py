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


class Refused(Exception):  # noqa: N818 - an inner signal; the caller turns it into a ModelError with the path
    """The pickle is malformed; the text says how."""
