"""Names for results: one a picture, alike the picture's own, and none twice."""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path, PurePath

from polyyolo.files import LONGEST, fitting

ROOM = LONGEST - len(".jpg")
"""Bytes of a result's name, so that an ending has room behind it."""


def result_names(pictures: Sequence[Path]) -> tuple[str, ...]:
    """Name each picture's results after it, below the folder that all pictures share.

    ``a/1.jpg`` and ``b/1.jpg`` become ``a/1`` and ``b/1``. Where a folder holds ``1.jpg`` and ``1.png``, they become
    ``1.jpg`` and ``1.png``. A name that is still taken, also where only the case differs, gets a number, and one
    that is too long is cut.

    Args:
        pictures: none twice.

    Returns:
        For each picture a relative path without an ending, with ``/`` between folders and room for .jpg or .txt.
    """
    parents = [os.path.abspath(path.parent) for path in pictures]  # noqa: PTH100 - links stay as they are named
    shared = os.path.commonpath(parents)
    full = [
        PurePath(os.path.relpath(parent, shared)) / path.name for parent, path in zip(parents, pictures, strict=True)
    ]
    stems = Counter(_key(path.with_suffix("")) for path in full)
    alone = [stems[_key(path.with_suffix(""))] == 1 and fitting(path.stem, "", ROOM) == path.stem for path in full]
    taken = {_key(path.with_suffix("")) for path, single in zip(full, alone, strict=True) if single}
    return tuple(
        path.with_suffix("").as_posix() if single else _free(path, taken)
        for path, single in zip(full, alone, strict=True)
    )


def _key(path: PurePath) -> str:
    return path.as_posix().lower()


def _free(path: PurePath, taken: set[str]) -> str:
    """Give a name that fits, with a number where it is taken, and take it."""
    endings = ("" if number == 1 else f"-{number}" for number in count(1))
    candidates = (path.with_name(fitting(path.name, ending, ROOM)) for ending in endings)
    chosen = next(each for each in candidates if _key(each) not in taken)
    taken.add(_key(chosen))
    return chosen.as_posix()
