"""The zip that torch.save writes: opened with every size checked before anything of that size is read."""

import io
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

from polyyolo.errors import ModelError

MAX_DIRECTORY = 8 << 20
"""Bytes of the zip's table of entries; a YOLO checkpoint with its optimiser state needs about 100 KiB."""

MAX_PICKLE = 16 << 20
"""Bytes of data.pkl; yolov5s has 83 KiB."""

# What zipfile raises on damaged input, besides its own error: it trusts lengths and flags that the file states.
_DAMAGE = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError, MemoryError),
    *(LookupError, ArithmeticError, struct.error),
)


class _Stream(io.FileIO):
    """A file that refuses single reads above ``limit``: zipfile reads a table of entries of any stated size at once."""

    limit = MAX_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as the file does.

        Raises:
            ValueError: there are more than ``limit`` bytes to read at once.
        """
        wanted = self.limit + 1 if size is None or size < 0 else size
        data = super().read(min(wanted, self.limit + 1))
        if len(data) > self.limit:
            raise ValueError(f"its table of entries has more than {self.limit} bytes")
        return data


@frozen
class Archive:
    """An open checkpoint.

    Attributes:
        size: bytes of the file; everything that is read from it is bounded by this.
        root: the folder inside the zip that holds data.pkl, with its slash.
    """

    path: Path
    size: int
    root: str
    zip: zipfile.ZipFile = field(repr=False)

    def pickle(self) -> bytes:
        """Read data.pkl.

        Raises:
            ModelError: it is damaged or larger than ``MAX_PICKLE``.
        """
        return self.read("data.pkl", MAX_PICKLE)

    def order(self) -> str:
        """Tell the byte order of the storages as numpy writes it, "<" or ">"; files without a word of it are little."""
        if self.root + "byteorder" not in self.zip.NameToInfo:
            return "<"
        return ">" if self.read("byteorder", 16) == b"big" else "<"

    def read(self, name: str, limit: int) -> bytes:
        """Read the entry ``name``, at most ``limit`` bytes of it.

        Raises:
            ModelError: there is no such entry, it is larger, or its checksum does not match.
        """
        entry = self.zip.NameToInfo.get(self.root + name)
        if entry is None:
            raise damaged(self.path, f"it has no entry {name[:80]!a}")
        if entry.file_size > limit:
            raise damaged(
                self.path, f"its entry {name[:80]!a} has {entry.file_size} bytes where at most {limit} belong"
            )
        try:
            return self.zip.read(entry)
        except _DAMAGE as error:
            raise damaged(self.path, f"its entry {name[:80]!a} cannot be read: {error}") from error


def damaged(path: Path, what: str) -> ModelError:
    """Make the error for a checkpoint that contradicts itself."""
    return ModelError(f"{path} is a damaged checkpoint: {what}", fix="download or copy it again")


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a checkpoint.

    Raises:
        ModelError: no such file, or no zip as torch 1.6 and later write it; the message says what it is instead.
    """
    try:
        with _Stream(str(path)) as stream, _entries(path, stream) as entries:
            size = path.stat().st_size
            root = _root(path, entries)
            _check_sizes(path, size, entries)
            stream.limit = size
            yield Archive(path, size, root, entries)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}", fix="name a .pt file") from error


def _entries(path: Path, stream: _Stream) -> zipfile.ZipFile:
    start = stream.read(16)
    if not start.startswith(b"PK"):
        raise _not_a_zip(path, start)
    try:
        return zipfile.ZipFile(stream)
    except _DAMAGE as error:
        raise damaged(path, str(error)) from error


def _not_a_zip(path: Path, start: bytes) -> ModelError:
    if start[:1] == b"\x80" and start[2:3] in (b"\x8a", b"}", b"c"):
        return ModelError(
            f"{path} was saved in the format from before torch 1.6, which is a bare pickle",
            fix="where torch is installed and the file is trusted, load it and torch.save it again",
        )
    return ModelError(
        f"{path} is no PyTorch checkpoint: it begins with {start[:4]!r}, not with a zip's signature",
        fix="give a .pt file that YOLOv5 or Ultralytics wrote; a download may have saved a web page instead",
    )


def _root(path: Path, entries: zipfile.ZipFile) -> str:
    names = entries.NameToInfo
    roots = [name[: -len("data.pkl")] for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if not roots:
        raise ModelError(
            f"{path} is a zip without data.pkl, so it is no PyTorch checkpoint", fix="give the .pt file that it holds"
        )
    root = min(roots, key=len)
    if any(name.startswith((root + "code/", root + "constants.pkl")) for name in names):
        raise ModelError(
            f"{path} is a TorchScript archive: its modules are compiled code",
            fix="give the .pt checkpoint that it was exported from, or an ONNX",
        )
    return root


def _check_sizes(path: Path, size: int, entries: zipfile.ZipFile) -> None:
    """Refuse compressed entries, which torch never writes, and entries that state more bytes than the file has."""
    for entry in entries.filelist:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ModelError(
                f"{path} holds the compressed entry {entry.filename[:80]!a}; torch.save stores without compression",
                fix="save the checkpoint again with torch.save, not with a zip program",
            )
    stated = sum(entry.file_size for entry in entries.filelist)
    if stated > size:
        raise damaged(path, f"its entries state {stated} bytes, but the file has {size}")
