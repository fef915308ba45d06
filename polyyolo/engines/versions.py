"""Version numbers of TensorRT, and which releases polyyolo speaks to."""

import re

from polyyolo.errors import InputError, ToolchainError
from polyyolo.records import Toolchain, ToolchainKind

OLDEST = (8, 5)
"""Below it Polygraphy refuses, and trtexec speaks another dialect."""


def release(toolchain: Toolchain) -> tuple[int, int]:
    """Give major and minor of the toolchain's TensorRT; a missing minor is 0."""
    numbers = [int(number) for number in re.findall(r"\d+", toolchain.tensorrt)]
    return (*numbers, 0, 0)[0], (*numbers, 0, 0)[1]


def checked(version: str) -> str:
    """Refuse what is no version number.

    Raises:
        InputError: it is not made of numbers and dots.
    """
    if not re.fullmatch(r"\d+(\.\d+){0,3}", version):
        raise InputError(f"{version!r} is no version of TensorRT", fix="give it as 8.6, 10.16 or 11.4.0")
    return version


def refuse_too_old(toolchain: Toolchain) -> None:
    """Refuse a TensorRT that neither Polygraphy nor our flags can serve.

    Raises:
        ToolchainError: TensorRT below 8.5.
    """
    if toolchain.kind is ToolchainKind.TENSORRT and release(toolchain) < OLDEST:
        raise ToolchainError(
            f"TensorRT {toolchain.tensorrt} is older than 8.5, the oldest that Polygraphy and polyyolo drive",
            fix="install TensorRT 8.5 or newer; TensorRT for RTX has versions of its own: --toolchain rtx",
        )


def number_in_banner(text: str) -> str:
    """Read "[TensorRT v8601]" or "[TensorRT v101600]" from what trtexec printed; empty where there is none.

    Below 10 the number is major * 1000 + minor * 100 + patch, from 10 on major * 10000 + minor * 100 + patch.
    """
    found = re.search(r"\[TensorRT v(\d+)\]", text)
    if not found:
        return ""
    number = int(found[1])
    major = number // 10000 if number >= 100000 else number // 1000
    return f"{major}.{number // 100 % (100 if major >= 10 else 10)}.{number % 100}"
