"""What pip put here, as its metadata tells: versions, modules, and what each distribution asks of others."""

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from polyyolo.installed import normal, versions

DISTRIBUTION = "polyyolo"
MODULES = {
    "attrs": "attr",
    "nvidia-ml-py": "pynvml",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
}
"""Distributions whose module has another name."""


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


@frozen
class Installed:
    """What is here, by normalised names.

    Attributes:
        versions: of each distribution.
        givers: module -> the distributions that put it here, as a server's opencv-python-headless puts cv2.
    """

    versions: Mapping[str, str]
    givers: Mapping[str, Sequence[str]]

    def givers_of(self, name: str) -> Sequence[str]:
        """Name the distributions that give the module of one: itself first, then those that can stand in for it."""
        own = (name,) if name in self.versions else ()
        others = (each for each in self.givers.get(module_of(name), ()) if each in self.versions)
        return tuple(dict.fromkeys((*own, *others)))

    def giver_of(self, name: str) -> str:
        """Name the first of them; empty where there is none."""
        return next(iter(self.givers_of(name)), "")


def module_of(name: str) -> str:
    """Tell what a distribution, by its normalised name, is imported as."""
    return MODULES.get(name, name.replace("-", "_"))


def installed() -> Installed:
    """Read what is installed, and which modules each distribution declares."""
    givers = importlib.metadata.packages_distributions()
    return Installed(versions(), {module: [normal(name) for name in names if name] for module, names in givers.items()})


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
