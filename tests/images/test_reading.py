"""Whatever a file holds, the right pixels come back, or the reason why not."""

import struct
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyyolo.errors import PictureError
from polyyolo.images import reading
from polyyolo.images.headers import declared_size, is_cut_short
from polyyolo.images.reading import decode, read_picture


def half_and_half(height: int = 24, width: int = 40) -> np.ndarray:
    """The left half is (B, G, R) 200, 100, 50, the right half 10, 20, 250."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = (200, 100, 50), (10, 20, 250)
    return image


def encoded(image: np.ndarray, extension: str) -> bytes:
    return cv2.imencode(extension, image)[1].tobytes()


def with_exif(jpeg: bytes, payload: bytes) -> bytes:
    """Put an EXIF segment behind the start marker."""
    body = b"Exif\0\0" + payload
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def orientation(value: int) -> bytes:
    """A TIFF header with the one tag 0x0112."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)


def flat_cmyk_jpeg(cyan: int, magenta: int, yellow: int, black: int, *, side: int = 16) -> bytes:
    """A baseline JPEG of four components and one colour, as Photoshop writes it: Adobe marker, ink inverted."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body

    bits = ""
    levels = [255 - ink - 128 for ink in (cyan, magenta, yellow, black)]  # DC coefficients, quantised by 8
    for block in range((side // 8) ** 2):
        for level in levels:
            step = level if block == 0 else 0
            size = abs(step).bit_length()
            bits += f"{size:04b}"
            bits += f"{step if step > 0 else step + 2**size - 1:0{size}b}" if size else ""
            bits += "0"  # end of block
    bits += "1" * (-len(bits) % 8)
    scan = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    components = b"".join(bytes([number, 0x11, 0]) for number in range(1, 5))
    return (
        b"\xff\xd8"
        + segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")
        + segment(0xDB, b"\0" + bytes([8] * 64))
        + segment(0xC0, b"\x08" + struct.pack(">HH", side, side) + b"\x04" + components)
        + segment(0xC4, b"\0" + bytes([0, 0, 0, 12, *[0] * 12]) + bytes(range(12)))
        + segment(0xC4, b"\x10" + bytes([1, *[0] * 15]) + b"\0")
        + segment(0xDA, b"\x04" + b"".join(bytes([number, 0]) for number in range(1, 5)) + b"\0\x3f\0")
        + scan
        + b"\xff\xd9"
    )


@pytest.mark.parametrize("extension", [".png", ".bmp", ".tiff", ".ppm", ".webp", ".jpg"])
def test_colours_come_back_in_blue_green_red_order(extension):
    picture = decode(encoded(half_and_half(), extension))

    assert picture.shape == (24, 40, 3)
    assert np.abs(picture[12, 5].astype(int) - (200, 100, 50)).max() <= 3
    assert np.abs(picture[12, 35].astype(int) - (10, 20, 250)).max() <= 3


def test_a_grey_picture_is_repeated_in_three_channels():
    grey = np.tile(np.arange(40, dtype=np.uint8), (24, 1))

    assert np.array_equal(decode(encoded(grey, ".png")), np.repeat(grey[..., None], 3, axis=2))


def test_an_alpha_channel_is_dropped_without_blending():
    transparent = np.dstack([half_and_half(), np.zeros((24, 40), np.uint8)])

    assert np.array_equal(decode(encoded(transparent, ".png")), half_and_half())


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_sixteen_bits_keep_their_upper_eight(extension):
    deep = half_and_half().astype(np.uint16) * 256 + 77

    assert np.abs(decode(encoded(deep, extension)).astype(int) - half_and_half()).max() <= 1


def test_cmyk_ink_becomes_the_colour_that_it_prints():
    cyan_and_half_black = decode(flat_cmyk_jpeg(255, 0, 0, 128))

    assert cyan_and_half_black.shape == (16, 16, 3)
    assert np.abs(cyan_and_half_black.astype(int) - (127, 127, 0)).max() <= 2


def test_exif_orientation_is_applied():
    on_its_side = with_exif(encoded(half_and_half(), ".jpg"), orientation(6))

    upright = decode(on_its_side)

    assert upright.shape == (40, 24, 3)
    assert np.abs(upright[5, 12].astype(int) - (200, 100, 50)).max() <= 3


def test_a_half_written_jpeg_is_refused_even_with_a_whole_thumbnail_inside():
    whole = with_exif(encoded(half_and_half(), ".jpg"), encoded(half_and_half(8, 8), ".jpg"))
    half = whole[: len(whole) - 40]

    assert b"\xff\xd9" in half
    assert not is_cut_short(whole)
    with pytest.raises(PictureError, match="cut short: its end marker is missing"):
        decode(half)


def test_what_a_camera_appends_after_the_end_does_not_matter():
    assert decode(encoded(half_and_half(), ".jpg") + b"trailer" * 9).shape == (24, 40, 3)


@pytest.mark.parametrize("extension", [".png", ".bmp", ".tiff", ".webp"])
def test_other_formats_cut_in_half_are_refused(extension):
    data = encoded(half_and_half(), extension)

    with pytest.raises(PictureError, match=r"OpenCV cannot decode"):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("height", "width", "reason"),
    [
        (1, 1, "1x1 pixels: a side is shorter than 10"),
        (10, 20_000, "20000x10 pixels: one side is 2000 times the other, more than 50"),
    ],
)
def test_absurd_shapes_are_refused_with_their_numbers(height, width, reason):
    with pytest.raises(PictureError) as error:
        decode(encoded(half_and_half(height, width), ".png"))

    assert error.value.message == reason


def test_a_picture_bomb_is_refused_by_its_header_before_it_is_decoded():
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 40_000, 30_000)

    with pytest.raises(PictureError, match="40000x30000 pixels: more than 200 megapixels"):
        decode(header + bytes(100))


FORMATS = [".jpg", ".png", ".bmp", ".gif", ".webp", ".tiff", ".ppm", ".jp2", ".avif"]


@pytest.mark.parametrize("extension", FORMATS)
def test_the_declared_size_is_the_decoded_size(extension):
    if not cv2.haveImageWriter(f"a{extension}"):
        pytest.skip(f"this OpenCV writes no {extension}")

    assert declared_size(encoded(half_and_half(96, 160), extension)) == (96, 160)


@pytest.mark.parametrize("lossless", [100, 101])
def test_the_size_of_either_kind_of_webp_is_read(lossless):
    done, data = cv2.imencode(".webp", half_and_half(), [cv2.IMWRITE_WEBP_QUALITY, lossless])

    assert done
    assert declared_size(data.tobytes()) == (24, 40)


def test_the_size_of_a_webp_with_more_than_pixels_is_read():
    header = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (39).to_bytes(3, "little") + (23).to_bytes(3, "little")

    assert declared_size(header) == (24, 40)


@pytest.mark.parametrize(
    ("box", "turned"), [(b"irot\1", True), (b"irot\0", False), (b"imir\0", True), (b"pixi", False)]
)
def test_an_avif_that_lies_on_its_side_is_refused(box, turned):
    """OpenCV gives it as it is stored; whoever labelled it saw it upright."""
    data = b"\0\0\0\x1cftypavif" + bytes(16) + box + bytes(40)

    with pytest.raises(PictureError) as error:
        decode(data)

    assert ("turned or mirrored" in error.value.message) is turned


def outcome(data: bytes) -> np.ndarray | PictureError:
    try:
        return decode(data)
    except PictureError as error:
        return error


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([each for each in FORMATS if each != ".jp2" and cv2.haveImageWriter(f"a{each}")]),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=6),
    st.integers(1, 2_000),
)
def test_damaged_bytes_give_a_picture_or_a_picture_error_and_nothing_else(extension, changes, length):
    data = bytearray(encoded(half_and_half(), extension))
    for place, value in changes:
        data[place % len(data)] = value

    with mock.patch.object(reading, "LARGEST_AREA", 1_000_000):  # so that no damaged header costs seconds
        came = outcome(bytes(data[:length]))

    assert came.fix if isinstance(came, PictureError) else came.shape[2] == 3


def test_every_error_names_the_file(tmp_path: Path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "words.jpg").write_text("this is no picture")

    for name, reason in (
        ("empty.jpg", "the file is empty"),
        ("words.jpg", "no picture, or of a format that OpenCV cannot decode"),
        ("absent.jpg", "No such file or directory"),
    ):
        with pytest.raises(PictureError) as error:
            read_picture(tmp_path / name)
        assert error.value.message == f"cannot use {tmp_path / name}: {reason}"
        assert error.value.fix
