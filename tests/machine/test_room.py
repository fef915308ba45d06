import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from polyyolo.machine import room
from polyyolo.machine.finding import State
from polyyolo.machine.room import look_at_cache, look_at_memory, look_at_runs

GIB = 1 << 30


def test_a_disk_with_room_is_told_in_gib(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * GIB))

    (found,) = look_at_runs()

    assert (found.state, found.got) == (State.FOUND, f"5.0 GiB free at {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_nearly_full_is_flawed_and_says_how_to_use_another(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYYOLO_CACHE", str(tmp_path / "deep" / "cache"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=GIB // 2))

    (found,) = look_at_cache()

    assert (found.state, found.got) == (State.FLAWED, f"0.5 GiB free at {tmp_path}: little")
    assert found.fix == "name a folder on another disk: export POLYYOLO_CACHE=DIR"


def test_a_file_where_runs_go_keeps_engines_from_being_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").write_text("not a folder")

    (found,) = look_at_runs()

    assert (found.state, found.blocks) == (State.FLAWED, True)
    assert found.got == f"{tmp_path / 'runs'} cannot be written to: Not a directory"


@pytest.mark.parametrize(("free_kib", "state"), [(1 << 20, State.FLAWED), (3 << 20, State.FOUND)])
def test_memory_counts_what_caches_would_give_back(monkeypatch, free_kib, state):
    monkeypatch.setattr(room, "_available", lambda: 1024 * free_kib)

    (found,) = look_at_memory()

    assert found.state is state
    assert found.got.startswith(f"{free_kib >> 20}.0 of ")


def test_memory_is_known_where_there_is_no_proc(monkeypatch):
    monkeypatch.setattr(room, "_available", lambda: 0)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 21, "SC_AVPHYS_PAGES": 1 << 20}.get)

    (found,) = look_at_memory()

    assert found.got == "4.0 of 8.0 GiB free"
