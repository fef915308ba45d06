"""What a picture's first bytes say before anything is decoded: its size, whether it is whole, whether it is turned."""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import suppress

START_OF_SCAN = 0xDA
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0-7 and SOI have no length
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0-15 without DHT, JPG and DAC
END_OF_IMAGE = b"\xff\xd9"
BOXES = 1 << 16
"""Bytes in which an AVIF or JPEG 2000 says what it is."""
_WIDTH, _HEIGHT = 256, 257
"""TIFF's tags."""


def declared_size(data: bytes) -> tuple[int, int] | None:
    """Read the size that a picture declares, so that a bomb is refused before it is decoded.

    Returns:
        (height, width) in pixels as stored, before any rotation; None for other formats and for damaged headers.
    """
    with suppress(struct.error, ValueError):
        return next((read(data) for start, read in _SIZES.items() if data.startswith(start)), _of_boxes(data))
    return None


def _of_png(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _of_bmp(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from("<Ii", data, 18)
    return abs(height), width


def _of_gif(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from("<HH", data, 6)
    return height, width


def _of_jpeg(data: bytes) -> tuple[int, int] | None:
    start = next((start for marker, start in _segments(data) if marker in FRAMES), len(data))
    height, width = struct.unpack_from(">HH", data, start + 3)
    return height, width


def _of_webp(data: bytes) -> tuple[int, int] | None:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[27:30], "little"), 1 + int.from_bytes(data[24:27], "little")
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return height & 0x3FFF, width & 0x3FFF


def _of_tiff(data: bytes) -> tuple[int, int] | None:
    """Read the first picture's; its numbers have 16 or 32 bits."""
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, start)
    told = {}
    for entry in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        (told[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
    return (told[_HEIGHT], told[_WIDTH]) if {_HEIGHT, _WIDTH} <= set(told) else None


def _of_pnm(data: bytes) -> tuple[int, int] | None:
    words = re.sub(rb"#[^\n]*", b"", data[:1024]).split()
    return (int(words[2]), int(words[1])) if len(words) > 2 else None


def _of_boxes(data: bytes) -> tuple[int, int] | None:
    """Read the largest size that an AVIF or JPEG 2000 declares for one of its parts."""
    kind = data[4:8]
    if kind not in {b"ftyp", b"jP  "}:
        return None
    ends = [found.end() for found in re.finditer(b"ispe....|ihdr", data[:BOXES], re.DOTALL)]
    sizes = [struct.unpack_from(">II", data, end) for end in ends]
    return max((size[::-1] if kind == b"ftyp" else size for size in sizes), key=math.prod, default=None)


_SIZES = {
    b"\x89PNG\r\n\x1a\n": _of_png,
    b"BM": _of_bmp,
    b"GIF8": _of_gif,
    b"\xff\xd8": _of_jpeg,
    b"RIFF": _of_webp,
    b"II*\0": _of_tiff,
    b"MM\0*": _of_tiff,
    **{b"P%d" % kind: _of_pnm for kind in range(1, 7)},
}


def is_turned(data: bytes) -> bool:
    """Tell whether an AVIF asks to be rotated or mirrored, which OpenCV does not do.

    ISO/IEC 23008-12: irot has the quarter turns, imir the axis, either of which mirrors.
    """
    return data[4:8] == b"ftyp" and re.search(rb"irot[\x01-\x03]|imir", data[:BOXES]) is not None


def is_cut_short(data: bytes) -> bool:
    """Tell whether the bytes are a JPEG without an end.

    The end marker is looked for after the first scan begins, because an EXIF thumbnail holds one too. In a scan every
    FF is followed by 00 or a restart number (ITU-T T.81, B.1.1.5), so that FFD9 there means the end; what cameras
    append after it is ignored.
    """
    if not data.startswith(b"\xff\xd8"):
        return False
    scan = next((start for marker, start in _segments(data) if marker == START_OF_SCAN), len(data))
    return data.find(END_OF_IMAGE, scan) < 0


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and start of payload (with its two bytes of length) of each JPEG segment up to the first scan."""
    position = 2 if data.startswith(b"\xff\xd8") else len(data)
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF or marker in STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        yield marker, position + 2
        if marker == START_OF_SCAN:
            return
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
