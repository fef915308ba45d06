"""Find a package's archive in a package index, without pip's own download.

``pip download`` prepares the metadata of a source archive, which runs its setup.py or build backend; there is no option
against it (``--no-deps``, ``--no-build-isolation``, ``--dry-run`` and ``--report`` all prepare). So the index is read
here, in the two forms that are standardised (JSON of PEP 691, HTML of PEP 503), with pip's settings.
"""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from attrs import frozen

from polyyolo.fetching.download import DownloadError, read_page, read_text
from polyyolo.fetching.pip_settings import PipSettings

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.1"


@frozen
class Archive:
    """A package's file in an index.

    Attributes:
        sha256: as the index tells it; empty where it does not.
    """

    url: str
    sha256: str


def find_archive(package: str, filename: str, settings: PipSettings) -> Archive:
    """Find ``filename`` among the files of ``package``.

    Raises:
        DownloadError: no index and no find-links folder has it; the message says why.
    """
    name = re.sub(r"[-_.]+", "-", package).lower()  # PEP 503
    pages = [*settings.pages, *(f"{index.rstrip('/')}/{name}/" for index in settings.indexes)]
    reasons = []
    for page in pages:
        try:
            for archive in _links(page, settings):
                if Path(unquote(urlsplit(archive.url).path)).name == filename:
                    return archive
        except DownloadError as error:  # noqa: PERF203 - a handful of pages
            reasons.append(str(error))
    raise DownloadError("no package index here has it" + "".join(f"; one {reason}" for reason in set(reasons)))


def _links(page: str, settings: PipSettings) -> Iterator[Archive]:
    """Every file that a page or folder offers."""
    local = _local(page)
    if local is not None and local.is_dir() and not (local / "index.html").is_file():
        yield from (Archive(path.resolve().as_uri(), "") for path in sorted(local.iterdir()))
        return
    if local is not None:
        base = (local / "index.html" if local.is_dir() else local).resolve()
        yield from _parse(read_text(base), base.as_uri())
        return
    options = {**settings.request_options(page), "headers": {"Accept": ACCEPT}}
    yield from _parse(read_page(page, options), page)


def _local(page: str) -> Path | None:
    """Path of a page on this machine, or None for one on the network."""
    parts = urlsplit(page)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in ("http", "https") else Path(page)


def _parse(text: str, base: str) -> Iterator[Archive]:
    if text.lstrip().startswith("{"):
        yield from _parse_json(text, base)
        return
    parser = Anchors()
    parser.feed(text)
    for href in parser.hrefs:
        address, _, fragment = urljoin(base, href).partition("#")
        match = re.match(r"sha256=([0-9a-f]{64})", fragment)
        yield Archive(address, match[1] if match else "")


def _parse_json(text: str, base: str) -> Iterator[Archive]:
    try:
        offered = json.loads(text)["files"]
        yield from (Archive(urljoin(base, file["url"]), file["hashes"].get("sha256", "")) for file in offered)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DownloadError("gave a page that cannot be read") from error


class Anchors(HTMLParser):
    """Collects the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the href of an ``a``."""
        self.hrefs += [value for key, value in attrs if tag == "a" and key == "href" and value]
