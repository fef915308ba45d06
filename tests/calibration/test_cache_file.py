"""TensorRT's calibration cache, to the byte, and every way in which such a file can be damaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.calibration import cache_file
from polyyolo.calibration.cache_file import Cache
from polyyolo.errors import InputError, TableError
from polyyolo.releases import release_of, spelled

HEADER = "TRT-8600-EntropyCalibration2\n"


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "yolo.cache"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(path):
    with pytest.raises(TableError) as error:
        cache_file.read(path)
    return f"{error.value.message}; {error.value.fix}"


def test_what_tensorrt_8_6_wrote_is_read_and_written_again_to_the_byte(shared):
    path = shared / "fixtures/trtexec-8.6.0/yolov5s.entropy2.cache"

    cache = cache_file.read(path)

    assert cache_file.text_of(cache).encode() == path.read_bytes()
    assert (cache.release, cache.algorithm, len(cache.scales)) == ((8, 6), "EntropyCalibration2", 261)
    assert cache.amax("/model.0/act/Sigmoid_output_0") == pytest.approx(1.00024, abs=1e-5)
    assert cache.scales["(Unnamed Layer* 186) [Shuffle]_output"] == pytest.approx(0.0630, abs=1e-4)


names = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(str.strip)
scales = st.floats(0, allow_infinity=False, allow_nan=False, width=32)


@given(st.dictionaries(names, scales, min_size=1))
def test_any_names_and_scales_come_back_as_they_were(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("any") / "yolo.cache"
    cache = Cache(101600, "MinMaxCalibration", {name: abs(scale) for name, scale in entries.items()})

    cache_file.write(cache, path)

    assert cache_file.read(path) == cache


def test_names_hold_colons_spaces_and_brackets(written):
    path = written(HEADER + "Input:0: 3c010a14\na: b: 3c010a14\n(Unnamed Layer* 64) [Shuffle]_output: 0\n")

    assert list(cache_file.read(path).scales) == ["Input:0", "a: b", "(Unnamed Layer* 64) [Shuffle]_output"]


def test_hexadecimal_digits_are_not_padded(written):
    cache = cache_file.read(written(HEADER + "zero: 0\nodd: b8d1b71\n"))

    assert cache.scales == {"zero": 0.0, "odd": float(np.array(0xB8D1B71, np.uint32).view(np.float32))}
    assert cache_file.text_of(cache).endswith("zero: 0\nodd: b8d1b71\n")


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_taken(written):
    cache = cache_file.read(written("\ufeff" + HEADER.replace("\n", "\r\n") + "\r\nimages: 3c010a14\r\n\r\n"))

    assert list(cache.scales) == ["images"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty, and TensorRT would crash on it"),
        (b"\n \n", "is empty"),
        (b"ftrt\x00\x00\x00\x00", "is a TensorRT engine, no calibration cache"),
        (b"PK\x03\x04\xff\xfe", "is a ZIP or .npz archive"),
        (b"\xff\xd8\xff\xe0 JFIF", "is a binary file"),
        (HEADER, "holds a header and not one scale"),
        (HEADER[:15], "ends in line 1: it was cut off"),
        ("TRT-8600-EntropyCalibration3\na: 0\n", "'EntropyCalibration3', an algorithm that TensorRT does not have"),
        ("images: 3c010a14\n", "begins with 'images: 3c010a14', a calibration cache with TRT-<version>"),
        ('{"images": 1}\n', "begins with '{\"images\": 1}'"),
        (HEADER + "images 3c010a14\n", ":2 is 'images 3c010a14', not a tensor's name"),
        (HEADER + "images: 3c010a14a\n", ":2 is 'images: 3c010a14a', not a tensor's name"),
        (HEADER + "images: 0.0078\n", ":2 is 'images: 0.0078', not a tensor's name"),
        (HEADER + ": 3c010a14\n", ":2 is ': 3c010a14', not a tensor's name"),
        (
            HEADER + "a: 3c010a14\n\nb: 3d8\na: 3c010a15\n",
            ":5 gives 'a' the scale 0.0078759389, and an earlier line 0.00787593797",
        ),
        (HEADER + "a: 3c010a14\na: 7fc00000\n", ":3 gives 'a' the scale nan, and an earlier line 0.0078"),
        (HEADER + "a: 3c010a14\nb: 3d8", "ends in the middle of line 3: it was cut off"),
        (HEADER + "a: 3c010a14\n/model.0/co", ":3 is '/model.0/co', not a tensor's name"),
        ("images 0.99\n/model.0/conv -1.5e-03\n", "is ONNX Runtime's calibration.cache"),
    ],
)
def test_what_is_no_cache_is_refused_with_its_reason(written, content, told):
    assert told in refusal(written(content))


def test_the_same_line_twice_says_nothing_new_and_is_taken(written):
    assert cache_file.read(written(HEADER + 2 * "images: 3c010a14\n")).scales.keys() == {"images"}


def test_a_scale_that_is_no_number_may_stand_there_twice_too(written):
    assert cache_file.read(written(HEADER + 2 * "images: 7fc00000\n")).scales.keys() == {"images"}


def test_a_whole_last_line_without_its_end_is_taken(written):
    assert cache_file.read(written(HEADER + "images: 3c010a14")).scales.keys() == {"images"}


def test_no_file_and_a_folder_are_told_apart(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.cache")
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize("scale", [-1.0, float("inf"), float("nan"), 1e39])
def test_scales_that_are_none_are_not_written(tmp_path, scale):
    with pytest.raises(TableError, match="cannot hold tensor 'images'"):
        cache_file.write(Cache(8600, "EntropyCalibration2", {"images": scale}), tmp_path / "yolo.cache")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tensorrt", "number"),
    [("8.5", 8500), ("8.6.1", 8601), ("9.2.0", 9200), ("10.3", 100300), ("10.16.0.72", 101600), ("10", 100000)],
)
def test_a_version_has_its_number_in_the_header(tensorrt, number):
    assert cache_file.header_number(tensorrt) == number
    assert release_of(spelled(number)) == release_of(tensorrt)


@pytest.mark.parametrize(
    ("tensorrt", "told"),
    [
        ("11.0", "has no INT8 calibrator"),
        ("8.4", "none that polyyolo knows"),
        ("7", "none that polyyolo knows"),
        ("8.16", "none that polyyolo knows"),
        ("newest", "is no version of TensorRT"),
        ("10.", "is no version of TensorRT"),
    ],
)
def test_versions_without_calibration_caches_are_refused(tensorrt, told):
    with pytest.raises(InputError, match=told):
        cache_file.header_number(tensorrt)
