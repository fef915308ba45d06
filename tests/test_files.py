"""Files in and out: whole or not at all, and every mistake told with its fix."""

import errno
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from polyyolo import files
from polyyolo.errors import InputError, ToolchainError
from polyyolo.records import (
    CalibrationTable,
    Head,
    HeadKind,
    ModelSpec,
    Preprocessing,
    Profile,
    ShapeRange,
    TensorSpec,
)


@frozen
class Note:
    """A record of these tests."""

    text: str
    path: Path = Path()
    dims: tuple[int | str, ...] = ()


def failing(number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_file_takes_its_place_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    with files.replacing(path) as temporary:
        temporary.write_text("after")
        assert path.read_text() == "before"

    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stopped", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path, stopped):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def interrupted():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise stopped

    with pytest.raises(stopped):
        interrupted()

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made_and_everyone_may_read(tmp_path):
    files.write_text(tmp_path / "a" / "b" / "c.txt", "text")

    path = tmp_path / "a" / "b" / "c.txt"
    assert path.read_text() == "text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_temporary_file_keeps_the_extension(tmp_path):
    """Writers such as OpenCV choose the format by it."""
    with files.replacing(tmp_path / "a.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_this_machines_fault(tmp_path, monkeypatch, number):
    monkeypatch.setattr(Path, "write_text", failing(number))

    with pytest.raises(ToolchainError, match="no space is left to write below") as refused:
        files.write_text(tmp_path / "a.txt", "text")

    assert "free some space" in refused.value.fix
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ETXTBSY, errno.EIO])
def test_a_folder_that_may_not_be_written_is_the_users_choice(tmp_path, monkeypatch, number):
    monkeypatch.setattr("pathlib.Path.touch", failing(number))

    with pytest.raises(InputError, match=f"cannot write below {tmp_path}") as refused:
        files.write_text(tmp_path / "a.txt", "text")

    assert "-o" in refused.value.fix


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path):
    (tmp_path / "a").write_text("a file")

    with pytest.raises(InputError, match=f"{tmp_path / 'a'} is a file, not a folder"):
        files.write_text(tmp_path / "a" / "b.txt", "text")


def test_other_trouble_stays_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.touch", failing(errno.EMFILE))

    with pytest.raises(OSError, match="Errno 24") as raised:
        files.write_text(tmp_path / "a.txt", "text")

    assert not isinstance(raised.value, InputError)


def test_another_file_that_is_gone_is_no_matter_of_the_folder(tmp_path):
    def lost():
        with files.writable(tmp_path / "results"):
            (tmp_path / "model.onnx").read_bytes()

    with pytest.raises(FileNotFoundError):
        lost()


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / f"{'ü' * 125}.json"

    files.write_text(path, "text")

    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_is_not_replaced_by_a_file(tmp_path, make):
    make(tmp_path / "a")

    with pytest.raises(InputError, match=r"is a (folder|pipe)"):
        files.write_text(tmp_path / "a", "text")

    assert not (tmp_path / "a").is_file()


def test_a_record_is_not_read_from_a_pipe_that_nobody_writes_to(tmp_path):
    os.mkfifo(tmp_path / "a.json")

    with pytest.raises(InputError, match=r"cannot read .*a\.json: it is a pipe or a device, no file"):
        files.read_json(tmp_path / "a.json", Note)


def test_links_in_a_circle_end_somewhere(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    assert files.real(tmp_path / "a" / "c").name == "c"
    assert files.real(tmp_path / "." / ".." / tmp_path.name) == files.real(tmp_path)


@given(data=st.binary(max_size=3_000_000))
def test_the_hash_is_sha256_of_all_bytes(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("hash") / "data"
    path.write_bytes(data)

    assert files.sha256_of(path) == hashlib.sha256(data).hexdigest()


NAMES = st.text(min_size=1, max_size=8)
SIZES = st.integers(1, 4096)
RANGES = st.lists(st.tuples(SIZES, SIZES, SIZES).map(sorted), min_size=1, max_size=5).map(
    lambda axes: ShapeRange(*map(tuple, zip(*axes, strict=True)))
)
PROFILES = st.builds(
    Profile, name=NAMES, optimizations=st.lists(st.dictionaries(NAMES, RANGES, max_size=2), max_size=3).map(tuple)
)
TENSORS = st.builds(
    TensorSpec, name=NAMES, dtype=st.just("float32"), dims=st.lists(st.one_of(SIZES, NAMES), max_size=5).map(tuple)
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
HEADS = st.builds(
    Head,
    kind=st.sampled_from(HeadKind),
    classes=st.integers(0, 99),
    outputs=st.lists(NAMES, max_size=3).map(tuple),
    strides=st.lists(SIZES, max_size=3).map(tuple),
    anchors=st.lists(st.lists(st.tuples(FINITE, FINITE), max_size=3).map(tuple), max_size=3).map(tuple),
    scale_xy=st.lists(FINITE, max_size=3).map(tuple),
    why=st.text(max_size=9),
)
SPECS = st.builds(
    ModelSpec,
    path=st.just(Path("a/b.onnx")),
    sha256=st.just("0" * 64),
    opset=SIZES,
    inputs=st.lists(TENSORS, max_size=2).map(tuple),
    outputs=st.lists(TENSORS, max_size=2).map(tuple),
    image=NAMES,
    head=HEADS,
    names=st.lists(NAMES, max_size=3).map(tuple),
    quantized=st.booleans(),
    metadata=st.dictionaries(NAMES, NAMES, max_size=2),
    history=st.lists(NAMES, max_size=2).map(tuple),
)
TABLES = st.builds(
    CalibrationTable,
    model_sha256=NAMES,
    set_sha256=NAMES,
    preprocessing=st.just(Preprocessing((640, 384))),
    pictures=SIZES,
    method=NAMES,
    ranges=st.dictionaries(NAMES, st.dictionaries(NAMES, FINITE, max_size=3), max_size=3),
    histogram_sha256=NAMES,
)


@given(st.one_of(PROFILES, TENSORS, HEADS, SPECS, TABLES))
def test_every_record_comes_back_from_json_as_it_was(record):
    text = json.dumps(files.plain(record))

    assert files.structure(json.loads(text), type(record)) == record


def test_json_is_written_to_be_read_by_people(tmp_path):
    files.write_json(tmp_path / "note.json", Note("a", Path("b/c"), (1, "batch")))

    assert (tmp_path / "note.json").read_text() == (
        '{\n  "text": "a",\n  "path": "b/c",\n  "dims": [\n    1,\n    "batch"\n  ]\n}\n'
    )
    assert files.read_json(tmp_path / "note.json", Note) == Note("a", Path("b/c"), (1, "batch"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot read"),
        ("{", "cannot read"),
        ("[1]", "it is a list"),
        ("null", "it is a NoneType"),
        ("{}", r"required field missing @ \$\.text"),
        ('{"text": "a", "colour": 1}', r"extra fields found \(colour\)"),
        ('{"text": "a", "dims": 3}', r"@ \$\.dims"),
        ('{"text": NaN}', "it is no JSON"),
    ],
    ids=["empty", "torn", "a list", "null", "a key missing", "a key too many", "another type", "no number"],
)
def test_json_of_something_else_is_told_with_the_place(tmp_path, text, told):
    path = tmp_path / "note.json"
    path.write_text(text)

    with pytest.raises(InputError, match=told) as refused:
        files.read_json(path, Note)

    assert refused.value.fix


def test_a_file_of_bytes_or_no_file_is_told_by_its_path(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")

    for name in ("bytes.json", "none.json"):
        with pytest.raises(InputError, match=f"cannot read .*{name}"):
            files.read_json(tmp_path / name, Note)


def test_toml_that_is_not_there_is_no_file_to_correct(tmp_path):
    with pytest.raises(InputError) as refused:
        files.read_toml(tmp_path / "none.toml")

    assert (refused.value.message, refused.value.fix) == (
        f"cannot read {tmp_path}/none.toml: No such file or directory",
        "name another file",
    )


def test_toml_is_read_and_mistakes_are_told_with_their_line(tmp_path):
    (tmp_path / "good.toml").write_text('[a]\nb = "c"\n')
    (tmp_path / "bad.toml").write_text('[a]\nb = "c\n')

    assert isinstance(files.read_toml(tmp_path / "good.toml"), Mapping)
    assert files.read_toml(tmp_path / "good.toml")["a"]["b"] == "c"
    with pytest.raises(InputError, match=r"bad\.toml: .*line 2"):
        files.read_toml(tmp_path / "bad.toml")
    with pytest.raises(InputError, match=r"none\.toml"):
        files.read_toml(tmp_path / "none.toml")


def test_a_lock_holds_until_its_block_ends_and_no_longer(tmp_path):
    with files.locked(tmp_path / "run"):
        with pytest.raises(InputError, match="another run is writing to"), files.locked(tmp_path / "run"):
            pass
        with files.locked(tmp_path / "other"):
            pass
    with files.locked(tmp_path / "run"):
        pass


def test_a_lock_is_given_back_when_its_block_fails(tmp_path):
    def fail():
        with files.locked(tmp_path):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with files.locked(tmp_path):
        pass


def test_an_interrupt_while_the_temporary_file_is_made_leaves_none(tmp_path, monkeypatch):
    make = Path.touch

    def interrupted(self, **how):
        make(self, **how)
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.touch", interrupted)

    with pytest.raises(KeyboardInterrupt):
        files.write_text(tmp_path / "a.txt", "text")

    assert list(tmp_path.iterdir()) == []


def test_what_asks_to_end_waits_for_the_block_and_then_ends_it():
    done = []

    def block():
        with files.uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("the block")

    with pytest.raises(KeyboardInterrupt):
        block()

    assert done == ["the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_has_no_handler_ends_the_process_after_the_block():
    script = "import signal; from polyyolo import files\nwith files.uninterrupted():\n    "
    script += "signal.raise_signal(signal.SIGTERM); print('done', flush=True)\nprint('not reached')"

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, "done\n")
