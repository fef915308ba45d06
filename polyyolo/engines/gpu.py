"""The GPU of this machine, as nvidia-smi tells it."""

import shutil
import subprocess

from attrs import frozen

PATIENCE_S = 5.0
"""A driver that hangs must not hang us."""


@frozen
class Gpu:
    """One GPU; both fields are empty where there is none.

    Attributes:
        name: as "NVIDIA GeForce RTX 4090".
        compute_capability: as "8.9".
        missing: why none was found, one sentence; empty where one was.
    """

    name: str = ""
    compute_capability: str = ""
    missing: str = ""


def first_gpu() -> Gpu:
    """Ask nvidia-smi for the first GPU; never raises."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Gpu(missing="no NVIDIA GPU: nvidia-smi is not installed")
    argv = [program, "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        asked = subprocess.run(  # noqa: S603 - fixed arguments
            argv, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=True
        )
    except subprocess.TimeoutExpired:
        return Gpu(missing=f"no NVIDIA GPU: nvidia-smi gave no answer within {PATIENCE_S:.0f} s")
    except (OSError, subprocess.CalledProcessError) as error:
        return Gpu(missing=f"no NVIDIA GPU: nvidia-smi failed ({error})")
    name, comma, capability = asked.stdout.partition("\n")[0].rpartition(",")
    if not comma:
        return Gpu(missing=f"no NVIDIA GPU: nvidia-smi said {asked.stdout.strip() or 'nothing'!r}")
    return Gpu(name.strip(), capability.strip())
