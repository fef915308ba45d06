"""What a file is, told from its bytes; and every file that is no engine is told with what it is instead."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.engines.bindings import foreign
from polyyolo.engines.build import build
from polyyolo.engines.engine_file import read_engine_file, strip
from polyyolo.engines.plan import BuildOptions, make_plan
from polyyolo.engines.plan_file import read_header
from polyyolo.engines.profiles import default
from polyyolo.engines.toolchain import find
from polyyolo.errors import InputError, ModelError, PolyYoloError, ToolchainError
from polyyolo.models.spec import read_spec
from polyyolo.records import Precision, ToolchainKind

METADATA = {"description": "Ultralytics YOLOv8n", "stride": 32, "names": {"0": "person"}}


def plan(version=(8, 6, 0, 12), magic=b"ftrt", size=64):
    return magic + bytes(12) + size.to_bytes(8, "little") + bytes(version) + bytes(36)


def ultralytics(inner, metadata=METADATA, length=None):
    text = json.dumps(metadata).encode()
    return (len(text) if length is None else length).to_bytes(4, "little", signed=True) + text + inner


@pytest.fixture
def written(tmp_path):
    def write(content, name="model.engine"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def test_a_plan_tells_what_built_it(written):
    found = read_engine_file(written(plan()))

    assert (found.kind, found.version, found.metadata, found.offset) == (ToolchainKind.TENSORRT, "8.6.0.12", None, 0)
    assert found.product == "TensorRT 8.6.0.12"


@pytest.mark.parametrize("version", [(8, 6, 1, 6), (10, 16, 0, 72)])
def test_the_size_of_plans_whose_header_was_not_seen_is_not_held_against_them(written, version):
    assert read_engine_file(written(plan(version, size=0))).version == ".".join(map(str, version))


def test_a_plan_of_an_unknown_serialisation_has_no_version(written):
    content = bytearray(plan())
    content[4] = 9

    assert read_engine_file(written(bytes(content))).product == "TensorRT of an unknown version"


@pytest.mark.parametrize(
    ("magic", "there"), [(b"ftrt", (0, 0, 0, 0)), (b"ftrt", (8, 5, 3, 1)), (b"ptrt", (8, 6, 0, 12))]
)
def test_a_plan_from_before_8_6_has_no_version_and_is_not_said_to_be_of_another(written, magic, there):
    """Its header has something else there: whether it loads, the TensorRT of the time knows alone."""
    found = read_engine_file(written(plan(there, magic=magic)))

    assert found.version == ""
    assert foreign(found, "8.5.3") is None


def test_a_real_plan_for_rtx_tells_the_version_that_is_installed(little_yolo, tmp_path):
    try:
        rtx = find("rtx")
    except ToolchainError as missing:
        pytest.skip(missing.message)
    spec = read_spec(little_yolo)
    made = make_plan(spec, default(spec), rtx, tmp_path / "m.plan", BuildOptions(precision=Precision.FP32))
    build(made, tmp_path / "build.log")

    found = read_engine_file(tmp_path / "m.plan")

    assert (found.kind, found.version) == (ToolchainKind.RTX, rtx.tensorrt)


def test_ultralytics_metadata_is_read_and_stripped(written, tmp_path):
    found = read_engine_file(written(ultralytics(plan())))

    assert found.metadata == METADATA
    assert found.version == "8.6.0.12"
    assert strip(found, tmp_path / "bare.plan").read_bytes() == plan()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.plan", "model.engine"]


def test_metadata_with_a_number_that_json_has_not_has_nothing_there(written):
    """Ultralytics writes with Python, which spells them NaN and Infinity."""
    found = read_engine_file(written(ultralytics(plan(), {"stride": float("nan"), "args": {"conf": float("-inf")}})))

    assert found.metadata == {"stride": None, "args": {"conf": None}}


def test_stripping_refuses_to_overwrite_its_own_engine_and_a_folder(written, tmp_path):
    found = read_engine_file(written(ultralytics(plan())))

    with pytest.raises(InputError, match="itself, which would be lost"):
        strip(found, tmp_path / "x" / ".." / "model.engine")
    with pytest.raises(InputError, match="is a folder"):
        strip(found, tmp_path)
    assert found.path.read_bytes() == ultralytics(plan())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"ftrt", "has 4 bytes where a plan should be"),
        (plan()[:27], "has 27 bytes where a plan should be"),
        (plan()[:50], "has 50 bytes of the 64 that its header promises"),
        (plan(magic=b"vtrt")[:50], "has 50 bytes of the 64 that its header promises"),
        (plan(magic=b"vtrt", size=10**12), "has 64 bytes of the 1000000000000 that its header promises"),
        (plan(magic=b"xtrt"), "a plan of an unknown kind"),
        (ultralytics(b""), "has 0 bytes where a plan should be"),
        (ultralytics(plan()[:20]), "has 20 bytes where a plan should be"),
        (ultralytics(plan(), length=2**31 - 1), "promises 2147483647 bytes of metadata and the file has"),
        (ultralytics(plan(), length=-5), "promises -5 bytes of metadata"),
        (ultralytics(plan(), length=10), "is no JSON"),
        (ultralytics(plan())[:30], "promises 78 bytes of metadata and the file has 30"),
        ((200).to_bytes(4, "little") + b"{" * 300, "is no JSON"),
        (b"build.log of yesterday\nall went well\n", "is a text file"),
        (b"PK\x03\x04" + bytes(60), "is a zip archive, as checkpoints"),
        (b"TRT-8600-EntropyCalibration2\nimages: 3c010a14\n", "is a calibration cache"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (bytes(range(100, 200)), "begins with b'defg', an engine with b'ftrt', b'ptrt', b'vtrt'"),
    ],
)
def test_what_is_no_engine_is_told_for_what_it_is(written, content, said):
    with pytest.raises(InputError) as error:
        read_engine_file(written(content))

    assert said in error.value.message
    assert error.value.fix


@pytest.mark.parametrize("name", ["yolo.onnx", "yolo.engine"])
def test_an_onnx_is_told_by_its_name_and_by_its_bytes(little_yolo, written, name):
    with pytest.raises(ModelError, match="is an ONNX, not an engine") as error:
        read_engine_file(written(little_yolo.read_bytes(), name))

    assert "polyyolo build" in error.value.fix


def test_a_folder_a_pipe_and_nothing_are_told(tmp_path, written):
    written(plan(), "inner.plan")
    with pytest.raises(InputError, match="is a folder") as error:
        read_engine_file(tmp_path)
    assert "inner.plan" in error.value.fix

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe or a device"):
        read_engine_file(tmp_path / "pipe")
    with pytest.raises(InputError, match="No such file"):
        read_engine_file(tmp_path / "gone.plan")
    with pytest.raises(InputError, match="File name too long"):
        read_engine_file(tmp_path / ("x" * 300))


def test_a_file_that_may_not_be_read_is_told(written, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    path = written(plan())
    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(InputError, match="Permission denied"):
        read_engine_file(path)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_end_in_anything_but_an_engine_or_our_own_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "model.engine"
    path.write_bytes(content)

    try:
        assert read_engine_file(path).size_bytes == len(content)
    except PolyYoloError as error:
        assert error.fix  # noqa: PT017 - either is right


@given(st.binary(max_size=40))
def test_a_header_is_read_from_28_bytes_or_not_at_all(data):
    found = read_header(data)

    assert (found is not None) == (len(data) >= 28 and data[:4] in (b"ftrt", b"ptrt", b"vtrt"))
