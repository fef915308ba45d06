"""The first bytes of an engine: enough to tell a whole one from a broken one without a GPU.

Read from plans of TensorRT for RTX 1.7 and from NVIDIA's sampleEngines.cpp (10.16): magic in bytes 0 to 3, for RTX the
size of the file as a little-endian number in bytes 16 to 23, major, minor, patch and build in bytes 24 to 27.
"""

from pathlib import Path

from polyyolo.records import ToolchainKind

MAGIC = {ToolchainKind.TENSORRT: b"ftrt", ToolchainKind.RTX: b"vtrt"}
HEADER_BYTES = 28


def fault_of(path: Path, kind: ToolchainKind) -> str:
    """Say what is wrong with an engine file.

    Returns:
        A sentence's end, as "is empty"; nothing where no fault can be seen.
    """
    size = path.stat().st_size if path.exists() else 0
    if size == 0:
        return "is missing or empty"
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return f"has {size} bytes, too few for an engine"
    if header[:4] != MAGIC[kind]:
        return f"begins with {header[:4]!r}, an engine with {MAGIC[kind]!r}"
    promised = int.from_bytes(header[16:24], "little")
    if kind is ToolchainKind.RTX and promised != size:
        return f"has {size} bytes of the {promised} that its header promises"
    return ""
