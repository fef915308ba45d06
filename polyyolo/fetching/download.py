"""One file from one address: progress, a second try when the line breaks, the hash checked before it is kept."""

import errno
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from polyyolo import progress

TIMEOUT = (10, 60)  # seconds to connect, seconds of silence
ATTEMPTS = 3
PAGE_LIMIT = 50 << 20  # bytes; the longest pages of public packages have a few MB


class DownloadError(Exception):
    """One source did not give the file; the message says why, in half a sentence."""


class Bar:
    """What pooch tells of a download, handed on to polyyolo's progress in KiB."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.total = 0
        self.received = 0

    def update(self, count: int) -> None:
        """Count bytes; pooch counts whole blocks, so the last one may be too large."""
        before = self.received
        self.received = min(before + count, self.total) if self.total else before + count
        progress.advance(self.step, self.received // 1024 - before // 1024)

    def reset(self) -> None:
        """Do nothing: pooch resets and counts all again at the end, and ``update`` stops at the total."""

    def close(self) -> None:
        """Do nothing: the step ends with its block."""


def download(url: str, target: Path, *, sha256: str, size: int = 0, options: Mapping[str, Any] | None = None) -> None:
    """Write what is at ``url`` to ``target``, or leave nothing.

    Args:
        url: an http, https or file address.
        target: where the file goes, once it is whole and has its hash.
        sha256: 64 hexadecimal digits; empty where nobody knows them.
        size: bytes, for the progress; 0 where unknown.
        options: what the request needs besides: proxies, certificates, credentials.

    Raises:
        DownloadError: the address cannot be reached or gives something else; nothing was kept.
    """
    if urlsplit(url).scheme == "file":
        _copy(Path(unquote(urlsplit(url).path)), target)
        return
    step = f"fetch {target.name} (KiB)"
    with progress.step(step, size // 1024 or None):
        _persist(url, target, sha256, step, options or {})


def _persist(url: str, target: Path, sha256: str, step: str, options: Mapping[str, Any]) -> None:
    """Try again where a line broke; one that never answered is not: an offline machine should hear so at once."""
    for attempt in range(1, ATTEMPTS + 1):
        bar = Bar(step)
        try:
            _retrieve(url, target, sha256, bar, options)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            if attempt == ATTEMPTS or not bar.received or isinstance(error, ValueError):
                raise DownloadError(_reason(error)) from error
        else:
            return


def read_page(url: str, options: Mapping[str, Any]) -> str:
    """Read a page of an index; too short for a progress bar.

    Raises:
        DownloadError: it cannot be had.
    """
    with TemporaryDirectory() as folder:
        target = Path(folder) / "page"
        _persist(url, target, "", "", options)
        return read_text(target)


def read_text(path: Path) -> str:
    """Read a page that is on this machine.

    Raises:
        DownloadError: it cannot be read, or is longer than any index has.
    """
    try:
        if path.stat().st_size > PAGE_LIMIT:
            raise DownloadError("gave a page that is too long")
        return path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise DownloadError(f"cannot be read ({error.strerror})") from error


def _retrieve(url: str, target: Path, sha256: str, bar: Bar, options: Mapping[str, Any]) -> None:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    fetch = pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT, **options)
    known = f"sha256:{sha256}" if sha256 else None
    pooch.retrieve(url, known, fname=target.name, path=target.parent, downloader=fetch)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise DownloadError(f"{source} cannot be read ({error.strerror})") from error


def _reason(error: Exception) -> str:
    """Say what went wrong in a few words, without addresses: they may hold a password."""
    if isinstance(error, ValueError) and "hash" in str(error):
        return "gave a file with another SHA-256, which was removed"
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"answered {status}" if status else f"could not be reached ({type(error).__name__})"
