"""A folder as a bundle: it appears whole or not at all, and as an archive with the same bytes every time."""

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyyolo.errors import InputError
from polyyolo.files import real, replacing, scratch, sha256_of, writable, write_text

SUFFIXES = (".tar.gz", ".tgz")
OTHER_SUFFIXES = (".zip", ".7z", ".tar", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".zst")
"""Of archives that are not written: a folder of such a name is hardly meant."""
STAMP = 315532800
"""1980-01-01 in seconds: an archive must not tell when it was made, and tar calls 1970 implausible."""
LEVEL = 6
"""Raw tensors hardly shrink further, and take three times as long."""
RUNNABLE = ".sh"


def is_archive(output: Path) -> bool:
    """Whether the name asks for an archive; else it is a folder's."""
    return output.name.lower().endswith(SUFFIXES)


def refuse_target(output: Path, run: Path) -> None:
    """Refuse to write over something, into the run, or an archive of another kind or without a name.

    Raises:
        InputError: as above.
    """
    _refuse_name(output)
    if real(run) in (real(output), *real(output).parents):
        raise InputError(
            f"{output} is inside the run's folder {run}, which holds a run and nothing else",
            fix="choose a place outside of it with -o",
        )
    empty = output.is_dir() and not is_archive(output) and not any(output.iterdir())
    if output.exists() and not empty:
        raise InputError(f"{output} exists already", fix="remove it, or choose another name with -o")


def _refuse_name(output: Path) -> None:
    better = output.parent / "bundle.tar.gz"
    if is_archive(output) and not _top(output).strip("."):
        raise InputError(
            f"{output} has no name before its suffix, for the folder that it unpacks into",
            fix=f"choose one: -o {better}",
        )
    if not is_archive(output) and output.name.lower().endswith(OTHER_SUFFIXES):
        raise InputError(
            f"{output} names an archive, but {output.suffix} is not written",
            fix=f"choose a .tar.gz, as -o {better}, or another name for a folder",
        )


@contextmanager
def appearing(output: Path) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends well, it becomes the bundle at ``output``.

    Raises:
        ToolchainError: the disk is full.
        InputError: the place cannot be written to.
    """
    with writable(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        with scratch(output) as folder:
            yield folder
            if is_archive(output):
                _archive(folder, output)
            else:
                _place(folder, output)


def write_sums(folder: Path, name: str) -> None:
    """List the SHA-256 of every file, as ``sha256sum -c`` reads it."""
    write_text(folder / name, "".join(f"{sha256_of(path)}  {path.relative_to(folder)}\n" for path in _files(folder)))


def read_sums(path: Path) -> dict[str, str]:
    """Read such a list: the SHA-256 of each file, by its place in the folder.

    Raises:
        InputError: the list cannot be read.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}", fix="copy the folder again, whole") from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _mode(path: Path) -> int:
    return 0o755 if path.suffix == RUNNABLE or path.is_dir() else 0o644


def _place(folder: Path, output: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(_mode(path))
    folder.replace(output)


def _top(output: Path) -> str:
    """Name the folder that an archive unpacks into."""
    return output.name[: -len(next(suffix for suffix in SUFFIXES if output.name.lower().endswith(suffix)))]


def _archive(folder: Path, output: Path) -> None:
    """Pack below a folder of the archive's own name, so that unpacking makes one folder."""
    top = _top(output)
    with (
        replacing(output) as temporary,
        temporary.open("wb") as stream,
        gzip.GzipFile("", "wb", compresslevel=LEVEL, fileobj=stream, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in _files(folder):
            entry = tarfile.TarInfo(f"{top}/{path.relative_to(folder)}")
            entry.size, entry.mode, entry.mtime = path.stat().st_size, _mode(path), STAMP
            with path.open("rb") as content:
                archive.addfile(entry, content)
