"""What was seen comes back from the file to the bit, and a file that cannot be used stops nothing or says why."""

import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyyolo import progress
from polyyolo.errors import InputError, ToolchainError
from polyyolo.verification import ledger
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.ledger import Ledger
from polyyolo.verification.sightings import Sighting


def boxes(seed, count):
    rng = np.random.default_rng(seed)
    corners = rng.normal(scale=300, size=(count, 4)).astype(np.float32)
    return Boxes(corners, rng.uniform(size=count).astype(np.float32), rng.integers(0, 9000, count))


def sighting(seed=0, shown=(3, 0), evaluated=(40, 7), outputs=2):
    powers = np.random.default_rng(seed).normal(size=(outputs, 2))
    found = [tuple(boxes(seed + place, count) for place, count in enumerate(counts)) for counts in (shown, evaluated)]
    return Sighting((480, 640), *found, powers)


def same(one, other):
    assert one.size == other.size
    assert [len(one.shown), len(one.evaluated)] == [len(other.shown), len(other.evaluated)]
    for first, second in zip((*one.shown, *one.evaluated), (*other.shown, *other.evaluated), strict=True):
        for array in ("xyxy", "scores", "classes"):
            np.testing.assert_array_equal(getattr(first, array), getattr(second, array))
            assert getattr(first, array).dtype == getattr(second, array).dtype
    assert one.powers.tobytes() == other.powers.tobytes()
    assert one.powers.shape == other.powers.shape


COUNTS = st.lists(st.integers(0, 20), max_size=2)


@given(st.integers(0, 1000), COUNTS, COUNTS, st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_everything_comes_back_to_the_bit(tmp_path_factory, seed, shown, evaluated, outputs):
    path = tmp_path_factory.mktemp("ledger") / "seen.sqlite"
    written = sighting(seed, shown, evaluated, outputs)
    with Ledger(path) as kept:
        kept.update([("a", written)])
        same(kept["a"], written)


def test_an_interruption_keeps_what_was_finished(tmp_path):
    def interrupted():
        with Ledger(tmp_path / "seen.sqlite") as kept:
            kept.update([("a", sighting(1)), ("b", sighting(2))])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    with Ledger(tmp_path / "seen.sqlite") as kept:
        same(kept["b"], sighting(2))
        assert "c" not in kept
        with pytest.raises(KeyError):
            kept["c"]


def test_what_a_finished_run_did_not_use_is_forgotten(tmp_path):
    """A folder that is verified into again and again does not grow."""
    with Ledger(tmp_path / "seen.sqlite") as kept:
        kept.update([("old", sighting()), ("still", sighting())])
        assert (kept["old"].size, kept["still"].size) == ((480, 640), (480, 640))

    with Ledger(tmp_path / "seen.sqlite") as kept:
        assert kept["still"].size == (480, 640)

    with Ledger(tmp_path / "seen.sqlite") as kept:
        assert ("old" in kept, "still" in kept) == (False, True)


@pytest.mark.parametrize("damage", ["text", "cut", "other table"])
def test_a_file_that_cannot_be_read_only_means_that_nothing_is_reused(tmp_path, damage):
    path = tmp_path / "seen.sqlite"
    with Ledger(path) as kept:
        kept.update([(str(number), sighting(number)) for number in range(30)])
        assert all(kept[str(number)] for number in range(30))
    if damage == "text":
        path.write_text("this is no database, and longer than the hundred bytes of a header " * 4)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        path.unlink()
        sqlite3.connect(path).execute("CREATE TABLE sightings (key TEXT PRIMARY KEY, something INT)").connection.close()
    heard = []

    class Ear(progress.Silent):
        def noted(self, message):
            heard.append(message)

    with progress.listening(Ear()), Ledger(path) as kept:
        assert "0" not in kept
        kept.update([("0", sighting())])
        same(kept["0"], sighting())

    assert heard == ["seen.sqlite cannot be read: every picture is run again"]


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("database or disk is full", ToolchainError, "no space is left to write"),
        ("disk I/O error", ToolchainError, "no space is left to write"),
        ("attempt to write a readonly database", InputError, "cannot write"),
    ],
)
def test_a_disk_that_refuses_is_told_with_its_fix(tmp_path, said, kind, told):
    with pytest.raises(kind, match=told) as error, ledger._told(tmp_path / "seen.sqlite"):
        raise sqlite3.OperationalError(said)

    assert "-o" in error.value.fix


def test_a_folder_in_the_way_is_told(tmp_path):
    (tmp_path / "seen.sqlite").mkdir()

    with pytest.raises(InputError, match="unable to open database file"), Ledger(tmp_path / "seen.sqlite"):
        pass
