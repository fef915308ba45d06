"""What this machine can build with, and what the user says another one has."""

from collections.abc import Callable

from attrs import evolve

from polyyolo.engines.gpu import Gpu, first_gpu
from polyyolo.engines.programs import find_polygraphy, find_trtexec
from polyyolo.engines.versions import refuse_too_old
from polyyolo.errors import InputError, ToolchainError
from polyyolo.installed import version_of
from polyyolo.records import Toolchain, ToolchainKind
from polyyolo.releases import OLDEST, checked, release_of

TENSORRT_PACKAGES = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu11")
RTX_PACKAGES = ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12")
INSTALL = {
    ToolchainKind.RTX: "pip install 'polyyolo[rtx]'",
    ToolchainKind.TENSORRT: "with an NVIDIA GPU: pip install 'polyyolo[tensorrt]', or NVIDIA's packages; "
    "without one: --toolchain rtx",
}


def find(kind: str = "auto") -> Toolchain:
    """Look for something that builds engines: TensorRT with a GPU, else TensorRT for RTX, else none.

    Args:
        kind: "auto" for that order, or "tensorrt", "rtx" or "none" to insist.

    Raises:
        ToolchainError: the kind that was insisted on is not here; the fix installs it.
        InputError: there is no such kind.
    """
    if kind not in ("auto", *(known.value for known in ToolchainKind)):
        raise InputError(f"there is no toolchain {kind!r}", fix="use auto, tensorrt, rtx or none")
    if kind == ToolchainKind.NONE.value:
        return Toolchain(ToolchainKind.NONE)
    finders: dict[ToolchainKind, Callable[[Gpu], Toolchain]] = {
        ToolchainKind.TENSORRT: _tensorrt,
        ToolchainKind.RTX: _rtx,
    }
    missing: tuple[str, ...] = ()
    gpu = first_gpu()
    for wanted, finder in finders.items():
        if kind in ("auto", wanted.value):
            found = finder(gpu)
            missing = tuple(dict.fromkeys((*missing, *found.missing)))
            if found.kind is wanted:
                return evolve(found, missing=missing)
    if kind != "auto":
        raise ToolchainError("; ".join(missing), fix=INSTALL[ToolchainKind(kind)])
    return Toolchain(ToolchainKind.NONE, gpu=gpu.name, compute_capability=gpu.compute_capability, missing=missing)


def named(tensorrt: str, *, kind: ToolchainKind = ToolchainKind.TENSORRT, compute_capability: str = "") -> Toolchain:
    """Describe a toolchain on another machine; nothing is looked up here.

    Args:
        tensorrt: its version, as "8.6", "10.16" or "11.4.0".
        kind: with ``ToolchainKind.RTX``, ``tensorrt`` is the version of TensorRT for RTX, as "1.7".
        compute_capability: of the GPU there, as "8.9", where known.

    Raises:
        InputError: no version number.
        ToolchainError: TensorRT older than 8.5.
    """
    toolchain = Toolchain(kind, checked(tensorrt), compute_capability=compute_capability)
    refuse_too_old(toolchain)
    return toolchain


def _tensorrt(gpu: Gpu) -> Toolchain:
    program = find_trtexec()
    python = version_of(*TENSORRT_PACKAGES)
    polygraphy = find_polygraphy()
    missing = [sentence for sentence in (gpu.missing, program.missing, polygraphy.missing) if sentence]
    if not python:
        missing.append("the Python package tensorrt is not installed")
    drives_python = bool(polygraphy.version and python)
    if program.version and drives_python and release_of(program.version) != release_of(python):
        missing.append(f"trtexec {program.version} is used; Polygraphy would build with TensorRT {python}")
        drives_python = False
    able = bool(gpu.name and (program.version or drives_python))
    found = Toolchain(
        kind=ToolchainKind.TENSORRT if able else ToolchainKind.NONE,
        tensorrt=program.version or python,
        polygraphy=polygraphy.version if drives_python else "",
        polygraphy_path=polygraphy.path if drives_python else None,
        trtexec=program.path,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        missing=tuple(missing),
    )
    if found.tensorrt and found.release < OLDEST:
        return Toolchain(ToolchainKind.NONE, missing=(*missing, f"TensorRT {found.tensorrt} is older than 8.5"))
    return found


def _rtx(gpu: Gpu) -> Toolchain:
    version = version_of(*RTX_PACKAGES)
    polygraphy = find_polygraphy()
    absent = "" if version else "the Python package tensorrt_rtx is not installed"
    missing = tuple(sentence for sentence in (absent, polygraphy.missing) if sentence)
    return Toolchain(
        kind=ToolchainKind.NONE if missing else ToolchainKind.RTX,
        tensorrt=version,
        polygraphy=polygraphy.version,
        polygraphy_path=polygraphy.path,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        missing=missing,
    )
