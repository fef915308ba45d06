"""Python, and the packages that polyyolo declares: are they there, and can they be imported?"""

import platform
from collections.abc import Iterator, Mapping

from polyyolo.machine.distributions import DISTRIBUTION, requirements, versions
from polyyolo.machine.finding import Finding, State
from polyyolo.machine.imports import flaws

AREA = "packages"
OLDEST_PYTHON = (3, 10)
MODULES = {
    "attrs": "attr",
    "nvidia-ml-py": "pynvml",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
}
"""Distributions whose module has another name."""
SIDELINES = {
    "faster-coco-eval": "mAP on labelled pictures",
    "nvidia-ml-py": "clocks, power and temperature while an engine is measured",
    "pooch": "models by name, and sample pictures",
}
"""What those packages are for that an engine can do without."""


def look_at_python() -> Iterator[Finding]:
    """Tell which Python this is."""
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if tuple(map(int, platform.python_version_tuple()[:2])) >= OLDEST_PYTHON:
        yield Finding("python", "Python", State.FOUND, told)
    else:
        fix = "install Python 3.10 or newer"
        yield Finding("python", "Python", State.FLAWED, f"{told}: too old", "polyyolo", fix, needed=True)


def look_at_packages() -> Iterator[Finding]:
    """Try each package that polyyolo declares for every use."""
    installed = versions()
    wanted = [each.name for each in requirements(DISTRIBUTION)]
    broken = flaws([_module(name) for name in wanted if name in installed])
    for name in wanted:
        yield _package(name, installed.get(name, ""), broken)


def _module(name: str) -> str:
    return MODULES.get(name, name.replace("-", "_"))


def _package(name: str, version: str, broken: Mapping[str, str]) -> Finding:
    needed, enables = name not in SIDELINES, SIDELINES.get(name, "polyyolo engine")
    if not version:
        return Finding(AREA, name, State.MISSING, "not installed", enables, f"pip install {name}", needed)
    if flaw := broken[_module(name)]:
        fix = f"pip install --force-reinstall {name}"
        return Finding(AREA, name, State.FLAWED, f"{version} cannot be imported: {flaw}", enables, fix, needed)
    return Finding(AREA, name, State.FOUND, version, enables, needed=needed)
