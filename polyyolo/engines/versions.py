"""Which TensorRT polyyolo drives, and what trtexec says of its own."""

import re

from polyyolo.errors import ToolchainError
from polyyolo.records import Toolchain, ToolchainKind
from polyyolo.releases import OLDEST, spelled


def refuse_too_old(toolchain: Toolchain) -> None:
    """Refuse a TensorRT that neither Polygraphy nor our flags can serve.

    Raises:
        ToolchainError: TensorRT below 8.5.
    """
    if toolchain.kind is ToolchainKind.TENSORRT and toolchain.release < OLDEST:
        raise ToolchainError(
            f"TensorRT {toolchain.tensorrt} is older than 8.5, the oldest that Polygraphy and polyyolo drive",
            fix="install TensorRT 8.5 or newer; TensorRT for RTX has versions of its own: --toolchain rtx",
        )


def version_in_banner(text: str) -> str:
    """Read "[TensorRT v8601]" or "[TensorRT v101600]" from what trtexec printed; empty where there is none."""
    found = re.search(r"\[TensorRT v(\d+)\]", text)
    return spelled(int(found[1])) if found else ""
