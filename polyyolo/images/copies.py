"""Which pictures are the same, whatever they are called."""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from polyyolo.files import sha256_of

GLIMPSE = 1 << 16
"""Bytes that are looked at before a whole file is: uncompressed frames are all of one size."""

Content = tuple[Hashable, ...]
Item = TypeVar("Item")


def repeats(items: Iterable[Item], key: Callable[[Item], Hashable]) -> Iterator[tuple[Item, Item]]:
    """Yield each item whose key an earlier one has, with the first that has it."""
    first: dict[Hashable, Item] = {}
    for item in items:
        if first.setdefault(key(item), item) is not item:
            yield item, first[key(item)]


def contents(paths: Iterable[Path]) -> Mapping[Path, Content]:
    """Tell files apart by their bytes, read no further than that takes.

    Returns:
        Path -> what is equal for files with equal bytes; a file that cannot be read is equal to none but itself.
    """
    found: dict[Path, Content] = dict.fromkeys(paths, ())
    looks: tuple[Callable[[Path], Hashable], ...] = (_size, _glimpse, sha256_of)
    for look in looks:
        alike = Counter(found.values())
        found = {path: (*known, _seen(look, path)) if alike[known] > 1 else known for path, known in found.items()}
    return found


def _seen(look: Callable[[Path], Hashable], path: Path) -> Hashable:
    try:
        return look(path)
    except OSError:
        return path


def _size(path: Path) -> int:
    return path.stat().st_size


def _glimpse(path: Path) -> str:
    """Hash what is in the middle of a file."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - GLIMPSE) // 2)
        return hashlib.sha256(stream.read(GLIMPSE)).hexdigest()
