"""Files in and out: hashes, atomic writes, JSON and TOML to and from records, and a lock on a run's folder."""

import errno
import hashlib
import json
import os
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import attrs
import cattrs

from polyyolo.errors import InputError, ToolchainError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Record = TypeVar("Record")

LONGEST = 255
"""Bytes of a file's name, at most, on the file systems in use."""

_converter = cattrs.Converter(forbid_extra_keys=True)
_converter.register_unstructure_hook(Path, str)
_converter.register_structure_hook(Path, lambda value, _: Path(value))
_converter.register_structure_hook(int | str, lambda value, _: value)


def sha256_of(path: Path) -> str:
    """Hash a file's bytes, read in blocks of 1 MiB.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def replacing(path: Path, *, elsewhere: str = "with -o") -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; it takes ``path``'s place only if the block ends well.

    Args:
        path: of the file.
        elsewhere: how the user names another folder.

    Raises:
        ToolchainError: the disk is full.
        InputError: the folder cannot be written to, or ``path`` is a folder, a pipe, a device or write-protected.
    """
    with writable(path.parent, elsewhere=elsewhere):
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_special(path)
        _refuse_protected(path)
        temporary = _hidden(path, path.suffix)
        try:
            temporary.touch(mode=0o600, exist_ok=False)
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            remove(temporary)


@contextmanager
def scratch(place: Path) -> Iterator[Path]:
    """Give an empty hidden folder beside ``place``, whose own folder is there; it goes when the block ends."""
    folder = _hidden(place)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        remove(folder)


def _hidden(place: Path, suffix: str = "") -> Path:
    """Name a new hidden place beside another.

    Whoever is interrupted while making it knows already what to remove: tempfile tells the name too late for that.
    """
    refuse_nameless(place)
    return place.with_name(f".{place.stem[:SHORT]}-{secrets.token_hex(4)}{suffix}")


def fitting(stem: str, ending: str, room: int = LONGEST) -> str:
    """Join a file's name, with ``stem`` cut between two letters where the whole would not fit into ``room`` bytes."""
    while stem and len(os.fsencode(stem + ending)) > room:
        stem = stem[:-1]
    return stem + ending


def refuse_special(path: Path) -> None:
    """Refuse to put a file where a folder, a pipe or a device is: renaming would take the place of /dev/null too.

    Raises:
        InputError: ``path`` is one of these.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder", fix="name a file")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is a pipe or a device", fix="name a file")


def _refuse_protected(path: Path) -> None:
    """Refuse to replace a file that nobody may write: renaming asks for the folder's permission alone."""
    if path.is_file() and not path.stat().st_mode & 0o222:
        raise InputError(f"{path} is write-protected", fix=f"name another file, or allow it: chmod u+w {path}")


def file_word(path: Path | str) -> str:
    """Spell a path, or a name, so that no program takes it for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def refuse_nameless(path: Path) -> None:
    """Refuse a folder without a name of its own, such as . and /, where something else is to be named.

    Raises:
        InputError: ``path`` is one.
    """
    if not path.name:
        raise InputError(f"{str(path)!r} is a folder that is there already", fix="name what is meant in it")


def refuse_same(output: Path, *sources: Path) -> None:
    """Refuse to write over what is read, by whatever name or link.

    Raises:
        InputError: ``output`` is one of ``sources``.
    """
    for source in sources:
        if real(output) == real(source) or (output.exists() and source.exists() and output.samefile(source)):
            raise InputError(f"{output} is {source} itself, which would be lost", fix="name another file to write")


def real(path: Path) -> Path:
    """Follow links as far as they lead; those that lead in a circle stay as they are.

    ``Path.resolve`` raises RuntimeError there before Python 3.13.
    """
    return Path(os.path.realpath(path))


def remove(place: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing there is well too."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EBUSY, errno.ETXTBSY, errno.EINVAL, errno.ENXIO, errno.EOPNOTSUPP),
    *(errno.ESTALE, errno.EIO, errno.ENOTCONN),
)
"""With ENOENT where it is about the place itself: below /proc and the like no folder can be made."""
SHORT = 40
"""Letters of a file's name in that of its temporary one: a name may be as long as the file system allows."""


@contextmanager
def writable(folder: Path, *, elsewhere: str = "with -o") -> Iterator[None]:
    """Turn the operating system's refusals to write below ``folder`` into errors that say what to do.

    Args:
        folder: what is written to.
        elsewhere: how the user names another folder.

    Raises:
        ToolchainError: the disk or the quota is full.
        InputError: no permission, a read-only file system, or a file where a folder should be; also where that is
            another file's fault, which is then named.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise ToolchainError(
                f"no space is left to write below {folder}",
                fix=f"free some space, or choose another folder {elsewhere}",
            ) from error
        concerns = _concerns(error, folder)
        if error.errno not in REFUSED and not (error.errno == errno.ENOENT and error.filename and concerns):
            raise
        if not concerns:
            raise InputError(
                f"cannot use {error.filename}: {error.strerror}", fix="give yourself permission, or name another file"
            ) from error
        refuse_file(folder, elsewhere=elsewhere)
        better = "a shorter name" if error.errno == errno.ENAMETOOLONG else "a folder that you may write to"
        raise InputError(
            f"cannot write below {folder}: {error.strerror}", fix=f"choose {better} {elsewhere}"
        ) from error


def refuse_unwritable(folder: Path, *, elsewhere: str = "with -o") -> None:
    """Make a folder, and find out that nothing can be written there before minutes of work, not after.

    Raises:
        InputError, ToolchainError: as ``writable`` does.
    """
    with writable(folder, elsewhere=elsewhere):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def refuse_file(folder: Path, *, elsewhere: str = "with -o") -> None:
    """Refuse a folder where a file is, or below one.

    Raises:
        InputError: as above.
    """
    for place in (folder, *folder.parents):
        if os.path.exists(place) and not place.is_dir():  # noqa: PTH110 - Path's raises where a name is too long
            raise InputError(f"{place} is a file, not a folder", fix=f"choose a folder {elsewhere}")


def _concerns(error: OSError, folder: Path) -> bool:
    """Whether an error is about ``folder``, something below it or something above it."""
    if not error.filename:
        return True
    place, wanted = real(Path(os.fsdecode(error.filename))), real(folder)
    return place == wanted or wanted in place.parents or place in wanted.parents


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all; bytes of file names that are no UTF-8 are spelt out."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def refuse_endless(path: Path) -> None:
    """Refuse to read a pipe or a device: that might never end.

    Raises:
        OSError: ``path`` is one, or is not there.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, no file", str(path))


def plain(record: object) -> Any:  # noqa: ANN401 - JSON is what JSON is
    """Turn a record into what JSON can hold."""
    return _converter.unstructure(record)


def write_json(path: Path, record: object) -> None:
    """Write a record as indented JSON, whole or not at all."""
    write_text(path, json.dumps(plain(record), indent=2) + "\n")


def structure(data: object, kind: type[Record]) -> Record:
    """Turn plain data back into a record.

    Raises:
        InputError: a key is missing, unknown, or holds something of another type.
    """
    if attrs.has(kind) and not isinstance(data, Mapping):
        raise InputError(
            f"this is no valid {kind.__name__}: it is a {type(data).__name__}",
            fix="write it again, or name another file",
        )
    try:
        return _converter.structure(data, kind)
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError) as error:
        mistakes = "; ".join(cattrs.transform_error(error))
        raise InputError(
            f"this is no valid {kind.__name__}: {mistakes}", fix="write it again with this version of polyyolo"
        ) from error


def read_json(path: Path, kind: type[Record]) -> Record:
    """Read a record that ``write_json`` wrote.

    Raises:
        InputError: the file cannot be read, is no JSON, or holds another record.
    """
    try:
        refuse_endless(path)
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_constant)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix="name another file") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: it is no JSON", fix="write it again, or name another file") from error
    try:
        return structure(data, kind)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", fix=error.fix) from error


def _constant(name: str) -> float:
    """Read what JSON has not: infinity is a ratio that records may hold, and no record holds NaN."""
    if name == "NaN":
        raise ValueError(name)
    return float(name)


def read_toml(path: Path) -> Mapping[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: the file cannot be read or is no TOML; the message has the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix="name another file") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}", fix="correct the file, or name another") from error


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back what asks to end, Ctrl-C and the like, until the block is done: for moments, not for long work."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is asked
        return
    asked: list[tuple[int, FrameType | None]] = []
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    earlier = {number: signal.signal(number, lambda *told: asked.append(told)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    for number, frame in asked:
        handler = earlier[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler is signal.SIG_DFL:
            signal.raise_signal(number)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for one run; the lock goes with the process, however it ends.

    Raises:
        InputError: another run holds it.
    """
    import filelock

    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout as error:
            raise InputError(
                f"another run is writing to {folder}", fix="wait for it, or choose another folder with -o"
            ) from error
    with lock:
        lock.release()  # the block holds it once more
        yield
