"""What was seen, kept in a file: a run that was interrupted goes on where it stopped."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from polyyolo import files, progress
from polyyolo.errors import InputError, ToolchainError
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.sightings import Sighting

COLUMNS = ("key", "height", "width", "shown", "counts", "boxes", "powers")
TABLE = f"CREATE TABLE IF NOT EXISTS sightings ({', '.join(COLUMNS)}, PRIMARY KEY (key)) WITHOUT ROWID"
PATIENCE_S = 1.0
"""So much work may be lost when the process is killed; Ctrl-C and SIGTERM lose nothing."""


class Ledger:
    """Sightings by key, in an SQLite file, ready inside a ``with`` block.

    Of a file that cannot be read nothing is reused. What a block that ends well has not used is removed at its end.

    Args:
        path: made where it is missing.

    Raises:
        ToolchainError: the disk is full.
        InputError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used: set[str] = set()
        self._saved = time.monotonic()

    def __enter__(self) -> "Ledger":  # noqa: PYI034 - typing.Self came with Python 3.11
        with files.writable(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with _told(self._path):
            try:
                self._open()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                progress.note(f"{self._path.name} cannot be read: every picture is run again")
                self._connection.close()
                files.remove(self._path)
                self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _told(self._path):
                if kind is None:
                    self._forget_unused()
                self._connection.commit()
        finally:
            self._connection.close()

    def __contains__(self, key: object) -> bool:
        return self._connection.execute("SELECT 1 FROM sightings WHERE key = ?", (key,)).fetchone() is not None

    def __getitem__(self, key: str, /) -> Sighting:
        row = self._connection.execute(
            f"SELECT {', '.join(COLUMNS[1:])} FROM sightings WHERE key = ?",  # noqa: S608 - our own names
            (key,),
        ).fetchone()
        if row is None:
            raise KeyError(key)
        self._used.add(key)
        return _unpacked(row)

    def update(self, pairs: Iterable[tuple[str, Sighting]], /) -> None:
        """Add what was seen on the pictures of a batch, all or none of them."""
        rows = [(key, *_packed(sighting)) for key, sighting in pairs]
        with _told(self._path):
            self._connection.executemany("INSERT OR REPLACE INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            if time.monotonic() - self._saved > PATIENCE_S:
                self._connection.commit()
                self._saved = time.monotonic()

    def _open(self) -> None:
        """Open the file, and look through it: a damaged one must not end a run at its last step.

        Raises:
            sqlite3.DatabaseError: it is damaged, or no ledger.
        """
        self._connection = sqlite3.connect(self._path)
        self._connection.execute(TABLE)
        columns = tuple(row[1] for row in self._connection.execute("PRAGMA table_info(sightings)"))
        if columns != COLUMNS or self._connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged, or no ledger")

    def _forget_unused(self) -> None:
        kept = self._connection.execute("SELECT key FROM sightings").fetchall()
        self._connection.executemany(
            "DELETE FROM sightings WHERE key = ?", [row for row in kept if row[0] not in self._used]
        )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn SQLite's refusals to write into errors that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(word in str(error) for word in ("full", "disk I/O")):
            raise ToolchainError(
                f"no space is left to write {path}", fix="free some space, or choose another folder with -o"
            ) from error
        fix = "choose a folder that you may write to with -o"
        raise InputError(f"cannot write {path}: {error}", fix=fix) from error


def _packed(sighting: Sighting) -> tuple[int, int, int, str, bytes, bytes]:
    """Every figure as it is, so that what comes back is equal to the bit; class indices are exact up to 2 ** 24."""
    found = [*sighting.shown, *sighting.evaluated]
    rows = [np.column_stack([each.xyxy, each.scores, each.classes]).astype(np.float32) for each in found]
    boxes = np.concatenate([np.zeros((0, 6), np.float32), *rows])
    counts = json.dumps([len(each) for each in found])
    return *sighting.size, len(sighting.shown), counts, boxes.tobytes(), sighting.powers.tobytes()


def _unpacked(row: tuple[int, int, int, str, bytes, bytes]) -> Sighting:
    height, width, shown, counts, boxes, powers = row
    rows = np.frombuffer(boxes, np.float32).reshape(-1, 6)
    parts = np.split(rows, np.cumsum(json.loads(counts), dtype=int))[:-1]  # what follows the last count is empty
    found = tuple(_boxes(part) for part in parts)
    return Sighting((height, width), found[:shown], found[shown:], np.frombuffer(powers).reshape(-1, 2))


def _boxes(rows: Array) -> Boxes:
    return Boxes(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))
