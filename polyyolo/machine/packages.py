"""Python, and the packages that polyyolo declares: are they there, and can they be imported?"""

import platform
from collections.abc import Iterator, Mapping

from polyyolo.machine.distributions import DISTRIBUTION, Installed, installed, module_of, requirements
from polyyolo.machine.finding import Finding, State
from polyyolo.machine.imports import flaws

AREA = "packages"
OLDEST_PYTHON = (3, 10)
SIDELINES = {
    "faster-coco-eval": "mAP on labelled pictures",
    "nvidia-ml-py": "clocks, power and temperature while an engine is measured",
    "pooch": "models by name, and sample pictures",
}
"""What those packages are for that an engine can do without."""
UNLINKED = "cannot open shared object file"
"""What the system's linker says of a library that is in no wheel and not installed."""
SYSTEM = "install that library with the system's packages: OpenCV's are in apt-get install libgl1 libglib2.0-0"


def look_at_python() -> Iterator[Finding]:
    """Tell which Python this is."""
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if tuple(map(int, platform.python_version_tuple()[:2])) >= OLDEST_PYTHON:
        yield Finding("python", "Python", State.FOUND, told)
    else:
        fix = "install Python 3.10 or newer"
        yield Finding("python", "Python", State.FLAWED, f"{told}: too old", "polyyolo", fix, needed=True)


def look_at_packages() -> Iterator[Finding]:
    """Try each package that polyyolo declares for every use, whichever distribution its module is from."""
    here = installed()
    wanted = [each.name for each in requirements(DISTRIBUTION)]
    broken = flaws([module_of(name) for name in wanted])
    for name in wanted:
        yield _package(name, here, broken)


def _package(name: str, here: Installed, broken: Mapping[str, str]) -> Finding:
    needed, enables = name not in SIDELINES, SIDELINES.get(name, "polyyolo engine")
    flaw = broken[module_of(name)]
    giver = here.giver_of(name)
    if flaw and not giver:
        return Finding(AREA, name, State.MISSING, "not installed", enables, f"pip install {name}", needed)
    version = _version(name, giver, here)
    if flaw:
        fix = SYSTEM if UNLINKED in flaw else f"pip install --force-reinstall {giver}"
        return Finding(AREA, name, State.FLAWED, f"{version} cannot be imported: {flaw}", enables, fix, needed)
    return Finding(AREA, name, State.FOUND, version, enables, needed=needed)


def _version(name: str, giver: str, here: Installed) -> str:
    if not giver:
        return "of a version that pip does not know"
    return here.versions[giver] if giver == name else f"{here.versions[giver]} ({giver})"
