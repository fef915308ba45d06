"""The GPU: its driver, and what its compute capability is good for."""

import re
from collections.abc import Iterator

from polyyolo.engines.gpu import PATIENCE_S, Gpu, first_gpu
from polyyolo.installed import versions
from polyyolo.machine.asking import ask
from polyyolo.machine.finding import Finding, State

AREA = "gpu"
ENABLES = "TensorRT engines for this machine, their speed, and the accuracy of the engine itself"
DRIVER_FIX = "with a GPU in the machine, install NVIDIA's driver; in Docker, pass it in: docker run --gpus all"
DRIVERS = {"cu13": 580, "cu12": 525, "cu11": 450}
"""Oldest driver of each CUDA generation: docs.nvidia.com/deploy/cuda-compatibility, minor version compatibility."""
SINCE_INT8, SINCE_TENSOR_CORES = (6, 1), (7, 2)
RTX_ENGINES = "GPU for RTX engines"
WITHOUT_INT8 = ((6, 2), (10, 3))
"""TensorRT's support matrix lists no INT8 below 6.1 and on 6.2; on 10.3 trtexec's own --best leaves it out."""


def look_at_gpu() -> Iterator[Finding]:
    """Look at the first GPU."""
    gpu = first_gpu()
    if not gpu.name:
        yield Finding(AREA, "NVIDIA GPU", State.MISSING, gpu.missing, ENABLES, DRIVER_FIX)
        return
    yield Finding(AREA, "NVIDIA GPU", State.FOUND, f"{gpu.name}, compute capability {gpu.compute_capability}")
    yield _driver()
    yield from _capability(gpu)


def _driver() -> Finding:
    said = ask(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], PATIENCE_S)
    version = said.text.strip().partition("\n")[0]
    if said.flaw or not re.match(r"\d+(\.\d+)+$", version):
        told = said.flaw or f"nvidia-smi said {version[:80]!r}"
        return Finding(AREA, "driver", State.FLAWED, f"its version is unknown: {told}", ENABLES, DRIVER_FIX)
    wanted = {name: DRIVERS[name[-4:]] for name in versions() if "tensorrt" in name and name[-4:] in DRIVERS}
    for name, oldest in wanted.items():
        if int(version.partition(".")[0]) < oldest:
            told = f"{version}, but {name} needs {oldest} or newer"
            return Finding(AREA, "driver", State.FLAWED, told, "running what it builds", "update NVIDIA's driver")
    return Finding(AREA, "driver", State.FOUND, version)


def _capability(gpu: Gpu) -> Iterator[Finding]:
    """Hold the compute capability against INT8, and against what TensorRT for RTX knows."""
    numbers = re.fullmatch(r"(\d+)\.(\d+)", gpu.compute_capability)
    if not numbers:
        told = f"nvidia-smi gave the compute capability {gpu.compute_capability[:40]!r}"
        yield Finding(AREA, "INT8", State.FLAWED, told, "knowing whether INT8 is faster here", DRIVER_FIX)
        return
    from polyyolo.engines.refusals import RTX_CAPABILITIES, rtx_supports  # needs packages that a broken machine lacks

    yield _int8((int(numbers[1]), int(numbers[2])), gpu.compute_capability)
    if rtx_supports(gpu.compute_capability):
        told = f"{gpu.compute_capability} is supported; NVIDIA lists INT8 for weights of matrix products only"
        yield Finding(AREA, RTX_ENGINES, State.FOUND, told)
    else:
        told = f"{gpu.compute_capability} is not among {', '.join(RTX_CAPABILITIES)} and 12.0 or later"
        fix = "build with --toolchain tensorrt for this GPU"
        yield Finding(AREA, RTX_ENGINES, State.MISSING, told, "running TensorRT for RTX engines here", fix)


def _int8(capability: tuple[int, int], written: str) -> Finding:
    if capability in WITHOUT_INT8 or capability < SINCE_INT8:
        told = f"{written} has no fast INT8"
        return Finding(AREA, "INT8", State.MISSING, told, "INT8 that is faster than FP16", "use --precision fp16")
    told = "on tensor cores" if capability >= SINCE_TENSOR_CORES else "without tensor cores"
    return Finding(AREA, "INT8", State.FOUND, told)
