"""Folders of results: what may not be mixed with them."""

from collections.abc import Collection
from pathlib import Path

from polyyolo.errors import InputError


def refuse_foreign(folder: Path, holds: str, ours: Collection[str] = ()) -> None:
    """Refuse a folder in which results would be mixed with files that others put there; hidden ones do not count.

    Args:
        folder: it need not be there yet.
        holds: what it should hold, as "a run".
        ours: names that may be there.

    Raises:
        InputError: it is neither new, nor empty, nor holds ``ours`` alone.
    """
    found = (place.name for place in folder.iterdir()) if folder.is_dir() else ()
    foreign = sorted(name for name in found if not name.startswith(".") and name not in ours)
    if foreign:
        raise InputError(
            f"{folder.absolute()} holds other things than {holds}, as {foreign[0]}",
            fix="choose a new or an empty folder with -o",
        )
