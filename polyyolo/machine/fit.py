"""Do the versions fit each other: what packages declare, and the bad pairs that none of them declares."""

from collections.abc import Iterator, Mapping

from polyyolo.machine.distributions import DISTRIBUTION, Wanted, requirements, versions
from polyyolo.machine.finding import Finding, State

AREA = "versions"
BUILDERS = ("tensorrt", "tensorrt-rtx")
EXTRAS = ("tensorrt", "rtx")
ONE_MODULE = (("opencv-python", "opencv-python-headless"), ("onnxruntime", "onnxruntime-gpu"))
"""Each pair writes to the same folder: whichever is removed or updated last breaks the other."""
ASKS_FOR_CALIBRATOR, WITHOUT_CALIBRATOR = Wanted("polygraphy", "<=0.53.6"), Wanted("tensorrt", ">=11")
"""With --int8 this Polygraphy looks for a class that TensorRT 11 took away, for models with Q/DQ nodes too."""


def look_at_versions() -> Iterator[Finding]:
    """Hold versions against each other; one finding where all is well."""
    installed = versions()
    flawed = [*_unmet(installed), *_too_old(installed), *_doubled(installed), *_known_bad(installed)]
    yield from flawed
    if not flawed:
        yield Finding(AREA, "all of them", State.FOUND, "fit each other, as far as packages declare what they need")


def _unmet(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Follow what polyyolo and the builders declare, down to the last package."""
    seen, waiting = set[str](), [DISTRIBUTION, *(name for name in BUILDERS if name in installed)]
    while waiting:
        owner = waiting.pop(0)
        seen.add(owner)
        for wanted in requirements(owner):
            version = installed.get(wanted.name, "")
            if version and wanted.name not in (*seen, *waiting):
                waiting.append(wanted.name)
            if version and not wanted.takes(version):
                yield _unfit(owner, wanted, version)
            elif not version and owner != DISTRIBUTION:  # what polyyolo itself lacks is told among the packages
                told = f"{owner} needs {wanted.name}{wanted.versions}, which is not installed"
                yield Finding(AREA, wanted.name, State.MISSING, told, owner, _pip(wanted))


def _too_old(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Hold the builders against what polyyolo asks for with its extras of their names."""
    for extra in EXTRAS:
        for wanted in requirements(DISTRIBUTION, extra):
            version = installed.get(wanted.name, "")
            if wanted.name in BUILDERS and version and not wanted.takes(version):
                yield _unfit(DISTRIBUTION, wanted, version)


def _unfit(owner: str, wanted: Wanted, version: str) -> Finding:
    told = f"{owner} needs {wanted.name}{wanted.versions}, but {version} is installed"
    return Finding(AREA, wanted.name, State.FLAWED, told, owner, _pip(wanted))


def _pip(wanted: Wanted) -> str:
    return f"pip install '{wanted.name}{wanted.versions}'"


def _doubled(installed: Mapping[str, str]) -> Iterator[Finding]:
    for one, other in ONE_MODULE:
        if one in installed and other in installed:
            told = f"{one} {installed[one]} and {other} {installed[other]} write to the same folder"
            fix = f"pip uninstall {one} {other}, then pip install {one}"
            yield Finding(AREA, other, State.FLAWED, told, one, fix)


def _known_bad(installed: Mapping[str, str]) -> Iterator[Finding]:
    polygraphy, tensorrt = installed.get("polygraphy", ""), installed.get("tensorrt", "")
    if polygraphy and tensorrt and ASKS_FOR_CALIBRATOR.takes(polygraphy) and WITHOUT_CALIBRATOR.takes(tensorrt):
        told = f"polygraphy {polygraphy} fails on --int8 with tensorrt {tensorrt}, which has no calibrator"
        fix = "polyyolo engine goes without that option; by hand: give polygraphy a Q/DQ model, and no --int8"
        yield Finding(AREA, "polygraphy", State.FLAWED, told, "polygraphy convert --int8", fix)
