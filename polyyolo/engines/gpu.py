"""The GPU of this machine that CUDA takes, as nvidia-smi tells it."""

import os
import re
import shutil
import subprocess

from attrs import frozen

PATIENCE_S = 5.0
"""A driver that hangs must not hang us."""


VISIBLE = "CUDA_VISIBLE_DEVICES"
_WHOLE = re.compile(r"\d+|GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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


def visible() -> str | None:
    """Name the GPU that CUDA takes: a number or a UUID of ``CUDA_VISIBLE_DEVICES``; None where that hides every one.

    CUDA numbers GPUs as NVML and nvidia-smi do where they are alike, or with ``CUDA_DEVICE_ORDER=PCI_BUS_ID``.
    """
    chosen = os.environ.get(VISIBLE, "0").partition(",")[0].strip()
    return None if chosen in ("", "-1") else chosen


def first_gpu() -> Gpu:
    """Ask nvidia-smi for the GPU that CUDA takes; never raises.

    It knows numbers and whole UUIDs. Of a part of a GPU (MIG) or a shortened UUID the first GPU is told instead.
    """
    program, chosen = shutil.which("nvidia-smi"), visible()
    if program is None:
        return Gpu(missing="no NVIDIA GPU: nvidia-smi is not installed")
    if chosen is None:
        return Gpu(missing=f"no NVIDIA GPU: {VISIBLE} is {os.environ[VISIBLE]!r}, which hides every one")
    which = [f"--id={chosen}"] if _WHOLE.fullmatch(chosen) else []
    argv = [program, *which, "--query-gpu=name,compute_cap", "--format=csv,noheader"]
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
