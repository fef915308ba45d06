"""The user's cache folder, shared by every process of that user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyyolo import files

VARIABLE = "POLYYOLO_CACHE"
ELSEWHERE = f"with {VARIABLE}"
"""How another folder is named, for ``files.writable``."""


def folder() -> Path:
    """Where fetched files are kept: ``$POLYYOLO_CACHE``, else the system's cache folder for this user."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    import pooch

    return Path(pooch.os_cache("polyyolo"))


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Wait until no other process works on ``path``, and keep others waiting; the lock goes with the process.

    Raises:
        InputError: the folder cannot be written to.
        ToolchainError: the disk is full.
    """
    import fcntl

    with files.writable(path.parent, elsewhere=ELSEWHERE):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.with_name(f".{path.name}.lock").open("w")
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
