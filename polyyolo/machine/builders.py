"""What builds engines: TensorRT, TensorRT for RTX, trtexec, Polygraphy; and whether they agree."""

import re
import sys
from collections.abc import Iterator

from attrs import evolve

from polyyolo.engines.programs import BANNER_PATIENCE_S, NO_TRTEXEC, find_polygraphy, find_trtexec
from polyyolo.engines.toolchain import RTX_PACKAGES, TENSORRT_PACKAGES
from polyyolo.installed import version_of
from polyyolo.machine.asking import ask
from polyyolo.machine.finding import Finding, State
from polyyolo.machine.imports import flaws
from polyyolo.records import Toolchain, ToolchainKind
from polyyolo.releases import release_of

AREA = "builders"
LAST_WHOLE_WHEEL, FOR_PYTHON = "8.6.0", (3, 10)
"""Newer wheels on PyPI are empty and fetch the libraries from NVIDIA's own index."""
TENSORRT = Finding(
    AREA,
    "TensorRT",
    State.MISSING,
    "the Python package tensorrt is not installed",
    "TensorRT engines by Polygraphy, and running them, where there is a GPU",
    "pip install 'polyyolo[tensorrt]'",
)
RTX = Finding(
    AREA,
    "TensorRT for RTX",
    State.MISSING,
    "the Python package tensorrt_rtx is not installed",
    "engines for RTX GPUs, built without a GPU",
    "pip install 'polyyolo[rtx]'",
)
TRTEXEC = Finding(
    AREA,
    "trtexec",
    State.MISSING,
    "",
    "TensorRT engines and their speed, measured as NVIDIA does, where there is a GPU",
    "export TRTEXEC=/path/to/trtexec, out of NVIDIA's tar, deb or container of TensorRT: no wheel holds it",
)
POLYGRAPHY = Finding(
    AREA,
    "Polygraphy",
    State.MISSING,
    "its program is neither beside this Python nor on PATH",
    "engines where there is no trtexec",
    "pip install --force-reinstall polygraphy",
)


def look_at_builders(toolchain: Toolchain) -> Iterator[Finding]:
    """Look at everything that builds, whichever of it would be used.

    Args:
        toolchain: what would be used; that is what an engine needs here.
    """
    rtx = toolchain.kind is ToolchainKind.RTX
    by_package = toolchain.kind is ToolchainKind.TENSORRT and not toolchain.trtexec
    yield evolve(_package(evolve(TENSORRT, fix=_tensorrt_fix()), TENSORRT_PACKAGES, "tensorrt"), needed=by_package)
    yield _trtexec()
    yield evolve(_package(RTX, RTX_PACKAGES, "tensorrt_rtx"), needed=rtx)
    yield evolve(_polygraphy(), needed=rtx or by_package)
    yield from _disagreement()


def _package(finding: Finding, names: tuple[str, ...], module: str) -> Finding:
    version = version_of(*names)
    if not version:
        return finding
    if flaw := flaws([module])[module]:
        return evolve(finding, state=State.FLAWED, got=f"{version} cannot be imported: {flaw}")
    return evolve(finding, state=State.FOUND, got=version)


def _tensorrt_fix() -> str:
    if sys.version_info[:2] <= FOR_PYTHON:
        return TENSORRT.fix
    return (
        f"{TENSORRT.fix}, with NVIDIA's package index in reach: what PyPI holds by itself ends with "
        f"{LAST_WHOLE_WHEEL} for Python 3.10"
    )


def _trtexec() -> Finding:
    found = find_trtexec()
    if not found.path:
        there = State.MISSING if found.missing == NO_TRTEXEC else State.FLAWED
        return evolve(TRTEXEC, state=there, got=found.missing)
    return evolve(TRTEXEC, state=State.FOUND, got=f"{found.version} at {found.path}")


def _polygraphy() -> Finding:
    """Ask the program itself: its first line may name a Python that is gone."""
    found = find_polygraphy()
    if not found.path:
        return POLYGRAPHY
    said = ask([str(found.path), "--version"], BANNER_PATIENCE_S)
    version = re.search(r"\bVersion: (\d[\w.]*)", said.text)
    if said.flaw or not version:
        told = f"{found.path}: {said.flaw or 'it did not tell its version'}"
        return evolve(POLYGRAPHY, state=State.FLAWED, got=told)
    if found.version and version[1] != found.version:
        told = f"{found.path} is {version[1]}, but the package beside this Python is {found.version}"
        return evolve(POLYGRAPHY, state=State.FLAWED, got=told)
    return evolve(POLYGRAPHY, state=State.FOUND, got=f"{version[1]} at {found.path}")


def _disagreement() -> Iterator[Finding]:
    """Compare trtexec with the Python package: an engine of one does not load in the other."""
    trtexec, package = find_trtexec().version, version_of(*TENSORRT_PACKAGES)
    if not (trtexec and package):
        return
    release = ".".join(map(str, release_of(trtexec)))
    if release_of(package) == release_of(trtexec):
        yield Finding(AREA, "trtexec and TensorRT", State.FOUND, f"agree: {release}")
        return
    told = f"trtexec is {trtexec}, the Python package is {package}: engines of one do not load in the other"
    fix = f"pip install 'tensorrt=={release}.*', or set TRTEXEC to the trtexec of {package}"
    yield Finding(AREA, "trtexec and TensorRT", State.FLAWED, told, "measuring what was built", fix)
