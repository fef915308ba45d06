"""A few freely licensed photographs, for a first run without pictures of one's own."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from attrs import frozen

from polyyolo import files, progress
from polyyolo.errors import ToolchainError
from polyyolo.fetching import Remote, cache, obtain

LIST = Path(__file__).with_name("samples.toml")
GROUP = "samples"
ADVISED = 300  # pictures of one's own; what Ultralytics' maintainers advise as the least


@frozen
class Sample:
    """A photograph and where it is from.

    Attributes:
        about: what is on it.
        origin: where the package that holds it has it from.
    """

    file: Remote
    about: str
    author: str
    licence: str
    origin: str


@frozen
class Listing:
    """The whole file."""

    picture: tuple[Sample, ...]


def samples() -> tuple[Sample, ...]:
    """Every photograph, in the order of the file."""
    return files.structure(files.read_toml(LIST), Listing).picture


def fetch() -> Path:
    """Make sure that the photographs are in the cache, and warn that they are few.

    A package that cannot be had is left out with a warning, as long as another can.

    Returns:
        The folder with the pictures, and SOURCES.txt with their authors and licences.

    Raises:
        ToolchainError: none can be had from here.
    """
    listed = samples()
    refusals, there = [], 0
    for _, group in groupby(listed, key=lambda sample: sample.file.mirrors[0].archive):
        wanted = [sample.file for sample in group]
        try:
            there += len(obtain(wanted, GROUP))
        except ToolchainError as error:
            refusals.append(error)
    if not there:
        raise refusals[0]
    for refusal in refusals:
        progress.warn(refusal.message, refusal.fix)
    folder = cache.folder() / GROUP
    _write_sources(folder / "SOURCES.txt", listed)
    progress.warn(
        f"these {there} sample pictures only show that it works: ranges from them fit no use in particular",
        fix=f"calibrate with {ADVISED} or more pictures of your own, as the model will see them",
    )
    return folder


def _write_sources(path: Path, listed: Sequence[Sample]) -> None:
    lines = [f"{it.file.name}: {it.about}. By {it.author}, {it.licence}, from {it.origin}" for it in listed]
    text = "\n".join(lines) + "\n"
    if not path.is_file() or path.read_text("utf-8") != text:
        files.write_text(path, text)
