"""The first bytes of an engine: enough to tell a whole one from a broken one without a GPU.

Read from plans of TensorRT for RTX 1.7, from 15 of TensorRT 8.6.0, and from NVIDIA's sampleEngines.cpp (10.16): magic
in bytes 0 to 3, version of the serialisation in bytes 4 to 7, size of the file as a little-endian number in bytes 16 to
23 (plans of other releases were not looked at), major, minor, patch and build in bytes 24 to 27.
"""

from pathlib import Path

from attrs import frozen

from polyyolo.records import BEFORE_8_6, PLAN_MAGIC, ToolchainKind

HEADER_BYTES = 28
TELLS_SINCE = 8, 6
"""Plans of an older TensorRT have something else where the version is."""
TELLS_SIZE = 8, 6, 0
"""The only TensorRT of whose plans it was seen that they tell their size: no whole engine of another may be refused."""


@frozen
class PlanHeader:
    """What a plan says of itself.

    Attributes:
        version: of the TensorRT or TensorRT for RTX that built it, as "8.6.0.12"; empty where the header is of a
            serialisation that nobody documents, as before 8.6.
        promised_bytes: size of the whole plan; None where the header is not known to tell.
    """

    kind: ToolchainKind
    version: str
    promised_bytes: int | None


def read_header(data: bytes) -> PlanHeader | None:
    """Read the first ``HEADER_BYTES`` of a plan; None where they are no plan's."""
    kind = PLAN_MAGIC.get(data[:4])
    if kind is None or len(data) < HEADER_BYTES:
        return None
    numbers = tuple(data[24:HEADER_BYTES])
    documented = data[:4] != BEFORE_8_6 and int.from_bytes(data[4:8], "little") == 0
    known = documented and (kind is ToolchainKind.RTX or numbers[:2] >= TELLS_SINCE)
    version = ".".join(map(str, numbers)) if known else ""
    tells_size = kind is ToolchainKind.RTX or (known and numbers[:3] == TELLS_SIZE)
    promised = int.from_bytes(data[16:24], "little") if tells_size else None
    return PlanHeader(kind, version, promised)


def fault_of(path: Path, kind: ToolchainKind) -> str:
    """Say what is wrong with an engine file.

    Returns:
        A sentence's end, as "is empty"; nothing where no fault can be seen.
    """
    size = path.stat().st_size if path.exists() else 0
    if size == 0:
        return "is missing or empty"
    with path.open("rb") as stream:
        data = stream.read(HEADER_BYTES)
    if len(data) < HEADER_BYTES:
        return f"has {size} bytes, too few for an engine"
    if PLAN_MAGIC.get(data[:4]) is not kind:
        magics = " or ".join(repr(magic) for magic, whose in PLAN_MAGIC.items() if whose is kind)
        return f"begins with {data[:4]!r}, an engine with {magics}"
    header = read_header(data)
    return cut_short(header, size) if header else ""


def cut_short(header: PlanHeader, size: int) -> str:
    """Say that a plan of ``size`` bytes is not as long as its header promises; nothing where it is."""
    if header.promised_bytes in (None, size):
        return ""
    return f"has {size} bytes of the {header.promised_bytes} that its header promises"
