"""What pip put here, as its metadata tells: versions, and what each distribution asks of others."""

import importlib.metadata
import re
from collections.abc import Iterator, Mapping

from attrs import frozen

DISTRIBUTION = "polyyolo"


@frozen
class Wanted:
    """One requirement that holds on this machine.

    Attributes:
        name: normalised.
        versions: as "<2,>=1.24"; empty takes any.
    """

    name: str
    versions: str

    def takes(self, version: str) -> bool:
        """Whether a version meets it."""
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.versions).contains(version, prereleases=True)


def normal(name: str) -> str:
    """Spell a distribution's name in the one way that can be compared, after PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def versions() -> Mapping[str, str]:
    """Read what is installed: normalised name -> version; the first on the path counts, as for an import."""
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        name, version = each.metadata["Name"], each.metadata["Version"]
        if name and version:  # a package that is half removed has neither
            found.setdefault(normal(name), version)
    return found


def requirements(distribution: str, extra: str = "") -> Iterator[Wanted]:
    """Read what a distribution declares; what old tools wrote and nobody can read is passed over.

    Args:
        distribution: its name.
        extra: give also what is asked for with this extra.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    for text in importlib.metadata.requires(distribution) or ():
        try:
            each = Requirement(text)
        except InvalidRequirement:
            continue
        if each.marker is None or each.marker.evaluate({"extra": extra}):
            yield Wanted(normal(each.name), str(each.specifier))
