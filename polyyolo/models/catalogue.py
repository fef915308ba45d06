"""The models that can be had by name, as catalogue.toml lists them."""

from difflib import get_close_matches
from functools import cache
from pathlib import Path

from attrs import frozen

from polyyolo import files, progress
from polyyolo.errors import ModelError
from polyyolo.fetching import Remote, obtain
from polyyolo.fetching.remote import place

LIST = Path(__file__).with_name("catalogue.toml")
GROUP = "models"


@frozen
class Entry:
    """A published model.

    Attributes:
        input: (height, width) in pixels that it was trained with.
        licence: of the weights; told when they are fetched.
        files: a checkpoint, or darknet's .cfg and .weights.
        classes: how many; 80 are COCO's.
    """

    name: str
    family: str
    input: tuple[int, int]
    licence: str
    files: tuple[Remote, ...]
    classes: int = 80

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where its files lie in the cache, there or not."""
        return tuple(place(remote, GROUP) for remote in self.files)

    @property
    def cached(self) -> bool:
        """Whether all its files are there; their hashes are checked when they are used."""
        return all(path.is_file() for path in self.paths)


@frozen
class Listing:
    """The whole file."""

    model: tuple[Entry, ...]


@cache
def entries() -> tuple[Entry, ...]:
    """Every model that can be had by name, in the order of the file."""
    return files.structure(files.read_toml(LIST), Listing).model


def find(name: str) -> Entry | None:
    """Give the model called ``name``, or None."""
    return next((entry for entry in entries() if entry.name == name), None)


def find_or_refuse(name: str) -> Entry:
    """Give the model called ``name``.

    Raises:
        ModelError: there is none; the fix names those that are alike.
    """
    entry = find(name)
    if entry is None:
        raise ModelError(f"the catalogue has no model {name!r}", fix=advice(name))
    return entry


def advice(name: str) -> str:
    """Say which names are alike, or how to see them all."""
    alike = get_close_matches(name, [entry.name for entry in entries()], n=3)
    return f"did you mean {' or '.join(alike)}?" if alike else "`polyyolo models list` shows the names"


def fetch(entry: Entry) -> tuple[Path, ...]:
    """Make sure that the model's files are in the cache, whole and with their hashes.

    Raises:
        ToolchainError: they cannot be had from here; says what to put where.
    """
    if not entry.cached:
        progress.note(f"{entry.name} comes under this licence: {entry.licence}")
    return obtain(entry.files, GROUP)
