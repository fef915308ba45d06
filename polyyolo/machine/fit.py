"""Do the versions fit each other: what packages declare, and the bad pairs that none of them declares."""

from collections.abc import Iterator

from attrs import evolve

from polyyolo.machine.distributions import DISTRIBUTION, Installed, Wanted, installed, requirements
from polyyolo.machine.finding import Finding, State

AREA = "versions"
BUILDERS = ("tensorrt", "tensorrt-rtx")
EXTRAS = ("tensorrt", "rtx")
ASKS_FOR_CALIBRATOR, WITHOUT_CALIBRATOR = Wanted("polygraphy", "<=0.53.6"), Wanted("tensorrt", ">=11")
"""With --int8 this Polygraphy looks for a class that TensorRT 11 took away, for models with Q/DQ nodes too."""


def look_at_versions() -> Iterator[Finding]:
    """Hold versions against each other; one finding where all is well."""
    here = installed()
    flawed = [*_unmet(here), *_too_old(here), *_doubled(here), *_known_bad(here)]
    yield from flawed
    if not flawed:
        yield Finding(AREA, "all of them", State.FOUND, "fit each other, as far as packages declare what they need")


def _unmet(here: Installed) -> Iterator[Finding]:
    """Follow what polyyolo and the builders declare, down to the last package."""
    seen, waiting = set[str](), [DISTRIBUTION, *(name for name in BUILDERS if name in here.versions)]
    while waiting:
        owner = waiting.pop(0)
        seen.add(owner)
        for wanted in requirements(owner):
            giver = here.giver_of(wanted.name)
            if giver and giver not in (*seen, *waiting):
                waiting.append(giver)
            if giver and not wanted.takes(here.versions[giver]):
                yield _unfit(owner, wanted, giver, here)
            elif not giver and owner != DISTRIBUTION:  # what polyyolo itself lacks is told among the packages
                told = f"{owner} needs {wanted.name}{wanted.versions}, which is not installed"
                yield Finding(AREA, wanted.name, State.MISSING, told, owner, _pip(wanted))


def _too_old(here: Installed) -> Iterator[Finding]:
    """Hold the builders against what polyyolo asks for with its extras of their names."""
    for extra in EXTRAS:
        for wanted in requirements(DISTRIBUTION, extra):
            version = here.versions.get(wanted.name, "")
            if wanted.name in BUILDERS and version and not wanted.takes(version):
                yield _unfit(DISTRIBUTION, wanted, wanted.name, here)


def _unfit(owner: str, wanted: Wanted, giver: str, here: Installed) -> Finding:
    version = here.versions[giver] if giver == wanted.name else f"{giver} {here.versions[giver]}"
    told = f"{owner} needs {wanted.name}{wanted.versions}, but {version} is installed"
    return Finding(AREA, wanted.name, State.FLAWED, told, owner, _pip(evolve(wanted, name=giver)))


def _pip(wanted: Wanted) -> str:
    return f"pip install '{wanted.name}{wanted.versions}'"


def _doubled(here: Installed) -> Iterator[Finding]:
    """Find modules that several distributions write: whichever is removed or updated last breaks the others."""
    for wanted in requirements(DISTRIBUTION):
        givers = here.givers_of(wanted.name)
        if len(givers) > 1:
            told = " and ".join(f"{each} {here.versions[each]}" for each in givers)
            fix = f"pip uninstall {' '.join(givers)}, then pip install {givers[0]}"
            yield Finding(AREA, givers[-1], State.FLAWED, f"{told} write to the same folder", wanted.name, fix)


def _known_bad(here: Installed) -> Iterator[Finding]:
    polygraphy, tensorrt = (here.versions.get(name, "") for name in ("polygraphy", "tensorrt"))
    if polygraphy and tensorrt and ASKS_FOR_CALIBRATOR.takes(polygraphy) and WITHOUT_CALIBRATOR.takes(tensorrt):
        told = f"polygraphy {polygraphy} fails on --int8 with tensorrt {tensorrt}, which has no calibrator"
        fix = "polyyolo engine goes without that option; by hand: give polygraphy a Q/DQ model, and no --int8"
        yield Finding(AREA, "polygraphy", State.FLAWED, told, "polygraphy convert --int8", fix)
