"""Names for results: one a picture, alike the picture's own, and none twice."""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path, PurePath


def result_names(pictures: Sequence[Path]) -> tuple[str, ...]:
    """Name each picture's results after it, below the folder that all pictures share.

    ``a/1.jpg`` and ``b/1.jpg`` become ``a/1`` and ``b/1``. Where a folder holds ``1.jpg`` and ``1.png``, they become
    ``1.jpg`` and ``1.png``. A name that is still taken, also where only the case differs, gets a number.

    Args:
        pictures: none twice.

    Returns:
        For each picture a relative path without an ending, with ``/`` between folders.
    """
    parents = [os.path.abspath(path.parent) for path in pictures]  # noqa: PTH100 - links stay as they are named
    shared = os.path.commonpath(parents)
    full = [
        PurePath(os.path.relpath(parent, shared)) / path.name for parent, path in zip(parents, pictures, strict=True)
    ]
    stems = Counter(_key(path.with_suffix("")) for path in full)
    alone = [stems[_key(path.with_suffix(""))] == 1 for path in full]
    names = [(path.with_suffix("") if single else path).as_posix() for path, single in zip(full, alone, strict=True)]
    taken = {name.lower() for name, single in zip(names, alone, strict=True) if single}
    return tuple(name if single else _free(name, taken) for name, single in zip(names, alone, strict=True))


def _key(path: PurePath) -> str:
    return path.as_posix().lower()


def _free(name: str, taken: set[str]) -> str:
    """Give the name, with a number where it is taken, and take it."""
    candidates = (name if number == 1 else f"{name}-{number}" for number in count(1))
    chosen = next(each for each in candidates if each.lower() not in taken)
    taken.add(chosen.lower())
    return chosen
