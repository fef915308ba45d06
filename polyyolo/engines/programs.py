"""The programs and packages that build engines: where they are, and which version they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from attrs import frozen

from polyyolo.engines.versions import version_in_banner
from polyyolo.installed import version_of

TRTEXEC_FOLDERS = (
    "/usr/src/tensorrt/bin",  # NVIDIA's deb and rpm packages, JetPack and containers
    "/opt/tensorrt/bin",
    "/usr/local/tensorrt/bin",
    "/usr/local/TensorRT/bin",
    "/opt/TensorRT/bin",
)
NO_TRTEXEC = "trtexec is neither on PATH nor in $TRTEXEC nor where TensorRT's packages put it"
NO_PACKAGE = "the Python package polygraphy is not installed"
NO_POLYGRAPHY = "the command polygraphy is neither beside this Python nor on PATH"
BANNER_PATIENCE_S = 30.0
"""trtexec loads gigabytes of libraries before it prints its version."""
SAID = 200
"""Letters of what it said instead: not every program that is named has lines."""


@frozen
class Executable:
    """A program and its version, or why there is none."""

    path: Path | None = None
    version: str = ""
    missing: str = ""


def find_polygraphy() -> Executable:
    """Look beside this Python first: that Polygraphy imports the TensorRT that was found here; then on PATH."""
    beside = Path(sys.executable).with_name("polygraphy")
    found = shutil.which(str(beside)) or shutil.which("polygraphy")
    version = version_of("polygraphy")
    if not found:
        return Executable(missing=NO_POLYGRAPHY if version else NO_PACKAGE)
    return Executable(Path(found), version, "" if version else NO_PACKAGE)


def find_trtexec() -> Executable:
    """Look where ``TRTEXEC`` says, on PATH, then where TensorRT's packages put it; and ask it for its version."""
    path = _trtexec_path()
    if path is None:
        return Executable(missing=NO_TRTEXEC)
    try:
        said = subprocess.run(  # noqa: S603 - the user's own trtexec
            [path, "--help"],
            stdin=subprocess.DEVNULL,  # one that runs elsewhere, by ssh or docker, would take what is not for it
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BANNER_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Executable(missing=f"{path} gave no answer within {BANNER_PATIENCE_S:.0f} s")
    except OSError as error:
        return Executable(missing=f"{path} does not start: {error.strerror}")
    version = version_in_banner(said.stdout + said.stderr)
    if not version:
        tail = (said.stderr or said.stdout).strip().splitlines()[-1:] or ["nothing"]
        return Executable(missing=f"{path} did not tell its version; it said: {tail[0][:SAID]}")
    return Executable(path, version)


def _trtexec_path() -> Path | None:
    """Name it whole: a path cannot keep the ./ without which a program of this folder is looked for on PATH."""
    wanted = os.environ.get("TRTEXEC")
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), *TRTEXEC_FOLDERS))
    found = shutil.which(wanted) or wanted if wanted else shutil.which("trtexec", path=places)
    return Path(found).absolute() if found else None
