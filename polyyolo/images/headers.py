"""What a picture's first bytes say before anything is decoded: its size, and for a JPEG whether its end is there."""

from collections.abc import Iterator

START_OF_SCAN = 0xDA
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0-7 and SOI have no length
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0-15 without DHT, JPG and DAC
END_OF_IMAGE = b"\xff\xd9"


def declared_size(data: bytes) -> tuple[int, int] | None:
    """Read the size that a JPEG, PNG or BMP declares, so that a bomb is refused before it is decoded.

    Returns:
        (height, width) in pixels as stored, before any EXIF rotation; None for other formats and for damaged headers.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if data.startswith(b"BM") and len(data) >= 26:
        height = int.from_bytes(data[22:26], "little", signed=True)
        return abs(height), int.from_bytes(data[18:22], "little")
    for marker, start in _segments(data):
        if marker in FRAMES and len(data) >= start + 7:
            return int.from_bytes(data[start + 3 : start + 5], "big"), int.from_bytes(
                data[start + 5 : start + 7], "big"
            )
    return None


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
