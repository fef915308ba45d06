"""What an engine file is, told from its bytes: no GPU and no TensorRT is needed.

Ultralytics writes four bytes of length, little-endian and signed, and that many bytes of JSON in front of the plan.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from attrs import frozen

from polyyolo.engines.plan_file import HEADER_BYTES, PlanHeader, cut_short, read_header
from polyyolo.errors import InputError, ModelError
from polyyolo.files import refuse_endless, refuse_same, replacing
from polyyolo.models.strangers import LENGTH_BYTES, is_text
from polyyolo.records import PLAN_MAGIC, ToolchainKind

LONGEST_METADATA = 16 * 2**20
"""Ultralytics' own is below 10 kB; a damaged length must not make us read gigabytes."""
BUILD = "polyyolo engine MODEL builds one, and so does polyyolo build MODEL.onnx"
_ONNX_FIELDS = (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32", b"\x3a", b"\x42")
OTHERS = (
    (b"PK\x03\x04", "is a zip archive, as checkpoints (.pt) are"),
    (b"\x80\x02", "is a pickle, as old checkpoints are"),
    (b"TRT-", "is a calibration cache"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself: git lfs pull gets it"),
)


@frozen
class EngineFile:
    """A file that holds a plan.

    Attributes:
        version: of what built it, as "8.6.0.12"; empty where its header does not tell.
        metadata: what Ultralytics wrote in front of the plan; None for a bare plan.
        offset: bytes in front of the plan.
    """

    path: Path
    size_bytes: int
    kind: ToolchainKind
    version: str
    metadata: Mapping[str, Any] | None = None
    offset: int = 0

    @property
    def product(self) -> str:
        """Name what built it as NVIDIA does, with its version."""
        name = "TensorRT for RTX" if self.kind is ToolchainKind.RTX else "TensorRT"
        return f"{name} {self.version or 'of an unknown version'}"


def read_engine_file(path: Path) -> EngineFile:
    """Tell what built an engine, and what stands in front of its plan.

    Raises:
        ModelError: an ONNX was given.
        InputError: there is no such file, it cannot be read, is cut short, or is something else.
    """
    size = _size_of(path)
    with path.open("rb") as stream:
        start = stream.read(HEADER_BYTES)
        metadata, offset = _metadata(path, size, start, stream)
        stream.seek(offset)
        data = stream.read(HEADER_BYTES)
    header = read_header(data)
    if header is None:
        raise _stranger(path, data, size - offset)
    _refuse_cut(path, header, size - offset)
    return EngineFile(path, size, header.kind, header.version, metadata, offset)


def strip(engine: EngineFile, target: Path) -> Path:
    """Write the bare plan, without what stands in front of it; ``target`` appears whole or not at all.

    Raises:
        InputError: ``target`` is the engine itself, or cannot be written.
        ToolchainError: the disk is full.
    """
    refuse_same(target, engine.path)
    if target.is_dir():
        raise InputError(f"{target} is a folder", fix=f"name a file, as {target / 'model.plan'}")
    with replacing(target) as temporary, engine.path.open("rb") as source, temporary.open("wb") as sink:
        source.seek(engine.offset)
        shutil.copyfileobj(source, sink, 1 << 20)
    return target


def _size_of(path: Path) -> int:
    try:
        if path.is_dir():
            plans = sorted(each.name for each in path.iterdir() if each.suffix in (".plan", ".engine"))
            raise InputError(f"{path} is a folder", fix=f"name the engine in it: {', '.join(plans) or 'it holds none'}")
        refuse_endless(path)
        with path.open("rb"):
            size = path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix="name the file that the build wrote") from error
    if size == 0:
        raise InputError(f"{path} is empty", fix="a build or a copy was interrupted: make it again")
    return size


def _metadata(path: Path, size: int, start: bytes, stream: BinaryIO) -> tuple[Mapping[str, Any] | None, int]:
    """Read Ultralytics' header, where there is one."""
    if start[LENGTH_BYTES : LENGTH_BYTES + 1] != b"{":
        return None, 0
    length = int.from_bytes(start[:LENGTH_BYTES], "little", signed=True)
    if not 0 < length <= min(size - LENGTH_BYTES, LONGEST_METADATA):
        raise InputError(
            f"{path} begins like an engine of Ultralytics, but its header promises {length} bytes of metadata "
            f"and the file has {size}",
            fix="it was cut or damaged: copy or export it again",
        )
    stream.seek(LENGTH_BYTES)
    try:
        # JSON has no NaN, but Python writes it.
        metadata = json.loads(stream.read(length), parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the metadata in front of the plan in {path} is no JSON: {error}", fix="copy or export it again"
        ) from error
    return metadata, LENGTH_BYTES + length


def _refuse_cut(path: Path, header: PlanHeader, size: int) -> None:
    fault = cut_short(header, size)
    if fault:
        raise InputError(f"the plan in {path} {fault}", fix="it was cut or damaged: copy or build it again")


def _stranger(path: Path, data: bytes, size: int) -> InputError:
    """Say what a file is that holds no plan that can be read."""
    if path.suffix == ".onnx" or _is_onnx(data):
        return ModelError(f"{path} is an ONNX, not an engine", fix=f"{BUILD}; polyyolo inspect model shows what it is")
    if not data or data[:4] in PLAN_MAGIC:
        return InputError(
            f"{path} has {size} bytes where a plan should be, too few for one", fix="copy or build it again"
        )
    if data[1:4] == b"trt":
        return InputError(
            f"{path} begins with {data[:4]!r}: a plan of an unknown kind",
            fix="rebuild it with TensorRT 8.5 or newer",
        )
    is_what = next((told for magic, told in OTHERS if data.startswith(magic)), "")
    if not is_what:
        magics = ", ".join(map(repr, PLAN_MAGIC))
        is_what = "is a text file" if is_text(data) else f"begins with {data[:4]!r}, an engine with {magics}"
    return InputError(f"{path} is no engine: it {is_what}", fix=BUILD)


def _is_onnx(data: bytes) -> bool:
    """Whether it begins as exporters write an ONNX: the version of its format, then a field of another kind."""
    first, version, following = data[:1], data[1:2], data[2:3]
    return first == b"\x08" and b"\x03" <= version <= b"\x14" and following in _ONNX_FIELDS
