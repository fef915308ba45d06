"""TensorRT's calibration cache: a text file with the INT8 scale of each tensor, read and written to the byte.

Line 1 is ``TRT-<version>-<algorithm>``; then ``<tensor>: <hex>``, the big-endian bits of the scale amax / 127 as
float32, without leading zeros. Names hold colons, spaces and brackets, so that a line is split at its last colon.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from attrs import frozen

from polyyolo.calibration.thresholds import LEVELS
from polyyolo.errors import InputError, TableError
from polyyolo.files import refuse_endless, replacing
from polyyolo.records import PLAN_MAGIC, ToolchainKind
from polyyolo.releases import OLDEST, WITHOUT_CALIBRATORS, number_of, release_of, spelled

ENTROPY_2 = "EntropyCalibration2"
ALGORITHMS = (ENTROPY_2, "MinMaxCalibration", "EntropyCalibration", "LegacyCalibration")
LARGEST = float(np.finfo(np.float32).max)
ANEW = "export or calibrate it again"

_HEADER = re.compile(r"TRT-(\d{4,6})-(\w+)", re.ASCII)
_ENTRY = re.compile(r"(?P<name>.+): ?(?P<bits>[0-9a-fA-F]{1,8})\s*")
_ENGINES = {ToolchainKind.TENSORRT: "a TensorRT engine", ToolchainKind.RTX: "a TensorRT for RTX engine"}
_BINARY = {**{magic: _ENGINES[kind] for magic, kind in PLAN_MAGIC.items()}, b"PK\x03\x04": "a ZIP or .npz archive"}


@frozen
class Cache:
    """The contents of a cache.

    Attributes:
        version: as in the header: 8601 is 8.6.1, 101600 is 10.16.0.
        algorithm: TensorRT's name of the calibrator that wrote it.
        scales: tensor name -> amax / 127, exact float32, in the file's order.
    """

    version: int
    algorithm: str
    scales: Mapping[str, float]

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor of the TensorRT that wrote it."""
        return release_of(spelled(self.version))

    def amax(self, tensor: str) -> float:
        """Largest magnitude of ``tensor`` that INT8 represents."""
        return self.scales[tensor] * LEVELS


def header_number(tensorrt: str) -> int:
    """Spell a version such as "8.6.1" or "10.16" as the number in a header.

    Raises:
        InputError: no version, or one without calibration caches.
    """
    number, release = number_of(tensorrt), release_of(tensorrt)
    if release >= WITHOUT_CALIBRATORS:
        raise InputError(
            f"TensorRT {tensorrt} has no INT8 calibrator (removed in 11.0) and reads no calibration cache",
            fix="put the scales into the model: polyyolo cache import CACHE --model MODEL -o model.int8.onnx",
        )
    if number is None or release < OLDEST:
        raise InputError(f"TensorRT {tensorrt} is none that polyyolo knows", fix="give a version from 8.5 to 10.16")
    return number


def write(cache: Cache, path: Path) -> None:
    """Write a cache, whole or not at all.

    Raises:
        TableError: a scale is negative, infinite or no number, or a name spans lines.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(text_of(cache).encode())


def text_of(cache: Cache) -> str:
    """Spell a cache as TensorRT does.

    Raises:
        TableError: as ``write``.
    """
    unfit = [name for name, scale in cache.scales.items() if not 0 <= scale <= LARGEST]
    unfit += [name for name in cache.scales if not name or len(name.splitlines()) > 1]
    if unfit:
        raise TableError(f"a calibration cache cannot hold tensor {unfit[0]!r} with that name and scale", fix=ANEW)
    lines = [f"{name}: {np.float32(scale).view(np.uint32):x}" for name, scale in cache.scales.items()]
    return "\n".join([f"TRT-{cache.version}-{cache.algorithm}", *lines, ""])


def read(path: Path) -> Cache:
    """Read a cache; blank lines and Windows' line ends are taken.

    Raises:
        TableError: no file, empty, binary, cut off, of another program, or with a line that says nothing or two things.
    """
    text = _text(path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    header = _HEADER.fullmatch(lines[0][1].strip())
    if not header:
        raise _no_header(path, [line for _, line in lines])
    if "\n" not in text:
        raise TableError(f"{path} ends in line {lines[0][0]}: it was cut off, or holds no scale", fix=ANEW)
    if header[2] not in ALGORITHMS:
        raise TableError(
            f"{path} was written by {header[2]!r}, an algorithm that TensorRT does not have",
            fix=f"correct line 1 to one of {', '.join(ALGORITHMS)}",
        )
    scales: dict[str, float] = {}
    for number, line in lines[1:]:
        name, scale = _entry(path, number, line)
        if not same(scales.setdefault(name, scale), scale):
            raise TableError(
                f"{path}:{number} gives {name!r} the scale {scale:.9g}, and an earlier line {scales[name]:.9g}",
                fix=f"keep one of the two lines, or {ANEW}",
            )
    if not text.endswith("\n") and not re.search(r": ?[0-9a-fA-F]{8}\s*$", text):
        raise TableError(f"{path} ends in the middle of line {lines[-1][0]}: it was cut off", fix=ANEW)
    if not scales:
        raise TableError(f"{path} holds a header and not one scale", fix=ANEW)
    return Cache(int(header[1]), header[2], scales)


def same(first: float, second: float) -> bool:
    """Whether two scales are equal, or both no number."""
    return first == second or (math.isnan(first) and math.isnan(second))


def _text(path: Path) -> str:
    try:
        refuse_endless(path)
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"cannot read the calibration cache {path}: {error.strerror}", fix="name another") from error
    if not content.strip():
        raise TableError(f"{path} is empty, and TensorRT would crash on it", fix=f"delete it, then {ANEW}")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        kind = _BINARY.get(content[:4], "a binary file")
        raise TableError(f"{path} is {kind}, no calibration cache", fix="name a text file that begins with TRT-")
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def _entry(path: Path, number: int, line: str) -> tuple[str, float]:
    entry = _ENTRY.fullmatch(line)
    if not entry:
        raise TableError(
            f"{path}:{number} is {line[:80]!r}, not a tensor's name, a colon and up to 8 hexadecimal digits",
            fix=f"the file is damaged: {ANEW}",
        )
    return entry["name"], float(np.array(int(entry["bits"], 16), np.uint32).view(np.float32))


def _no_header(path: Path, lines: list[str]) -> TableError:
    if all(re.fullmatch(r".+ -?[\d.]+(e[+-]?\d+)?", line.strip()) for line in lines):
        return TableError(
            f"{path} is ONNX Runtime's calibration.cache, which has the largest value of each tensor and not its "
            "largest magnitude",
            fix="import the Q/DQ model that ONNX Runtime made, or calibrate with polyyolo",
        )
    return TableError(
        f"{path} begins with {lines[0][:80]!r}, a calibration cache with TRT-<version>-<algorithm>",
        fix="name a cache that TensorRT or polyyolo wrote",
    )
