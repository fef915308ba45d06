"""polyyolo inspect engine: what is shown of a plan, where it loads and where it does not."""

import json
import re
import sys
from functools import partial

import pytest

from polyyolo.engines.gpu import Gpu
from polyyolo.engines.inside import Inside
from polyyolo.records import ShapeRange, TensorSpec

PLAN = b"ftrt" + bytes(12) + (64).to_bytes(8, "little") + bytes((8, 6, 0, 12)) + bytes(36)
INSIDE = Inside(
    inputs=(TensorSpec("images", "float", ("axis0", 3, 640, 640)),),
    outputs=(TensorSpec("output0", "float", ("axis0", 25200, 85)),),
    profiles=({"images": ShapeRange((1, 3, 640, 640), (4, 3, 640, 640), (8, 3, 640, 640))},),
    memory_bytes=141773824,
    layers=179,
    gpu="NVIDIA H200",
)


@pytest.fixture
def inspect(polyyolo, monkeypatch):
    """Run ``polyyolo inspect engine``; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("polyyolo.engines.gpu.first_gpu", Gpu)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    return partial(polyyolo, "inspect", "engine")


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "model.plan"
    path.write_bytes(PLAN)
    return path


def here(monkeypatch, version):
    monkeypatch.setattr("polyyolo.engines.bindings.version_of", lambda *_: version)


def test_a_plan_is_told_without_tensorrt_and_without_a_gpu(inspect, plan, monkeypatch):
    here(monkeypatch, "")

    left, out, err = inspect(plan)

    assert (left, "error" in err) == (0, False)
    assert "built with │ TensorRT 8.6.0.12" in out
    assert "inside     │ not looked at:" in out
    assert "Python's tensorrt cannot be imported" in re.sub(r"[\s│]+", " ", out)


def test_where_it_loads_inputs_profiles_and_memory_are_shown(inspect, plan, monkeypatch):
    monkeypatch.setattr("polyyolo.engines.inside.look_inside", lambda _: INSIDE)

    left, out, _ = inspect(plan)

    assert left == 0
    assert "images float (axis0, 3, 640, 640)" in out
    assert "images min 1x3x640x640, opt 4x3x640x640, max 8x3x640x640" in out
    assert "135.2 MiB on the GPU while it runs" in out


def test_json_has_all_of_it(inspect, plan, monkeypatch):
    monkeypatch.setattr("polyyolo.engines.inside.look_inside", lambda _: INSIDE)

    left, out, err = inspect(plan, "--json")

    shown = json.loads(out)
    assert (left, err) == (0, "")
    assert (shown["kind"], shown["version"], shown["size_bytes"], len(shown["sha256"])) == (
        "tensorrt",
        "8.6.0.12",
        64,
        64,
    )
    assert shown["inside"]["profiles"][0]["images"]["max"] == [8, 3, 640, 640]
    assert (shown["metadata"], shown["inside_unknown"]) == (None, "")


def test_a_plan_of_another_version_is_shown_and_then_refused_with_both(inspect, plan, monkeypatch):
    here(monkeypatch, "10.16.1.11")

    left, out, err = inspect(plan)

    assert left == 3
    assert "TensorRT 8.6.0.12" in out
    assert "was built with TensorRT 8.6.0.12, and 10.16.1.11 is here: engines do not move between versions" in err
    assert "fix: rebuild it here: polyyolo build MODEL.onnx" in err


def test_a_plan_that_a_gpu_here_refuses_is_an_error(inspect, plan, monkeypatch):
    here(monkeypatch, "8.6.0")
    monkeypatch.setattr("polyyolo.engines.gpu.first_gpu", lambda: Gpu("NVIDIA H200", "9.0"))

    left, _, err = inspect(plan)

    assert left == 3
    assert "  fix: " in err


def test_ultralytics_metadata_is_shown_and_stripped(inspect, tmp_path, monkeypatch):
    here(monkeypatch, "")
    metadata = json.dumps({"description": "YOLOv8n \x1b[31m", "names": {"0": "x" * 200}}).encode()
    (tmp_path / "yolov8n.engine").write_bytes(len(metadata).to_bytes(4, "little") + metadata + PLAN)

    left, out, _ = inspect(tmp_path / "yolov8n.engine", "--strip", tmp_path / "bare.plan")

    assert left == 0
    assert "metadata: description │ YOLOv8n ?[31m" in out
    assert "xxx..." in out
    assert (tmp_path / "bare.plan").read_bytes() == PLAN


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"just words\n", "is a text file"),
        (
            b"vtrt" + PLAN[4:16] + (10**12).to_bytes(8, "little") + PLAN[24:],
            "of the 1000000000000 that its header promises",
        ),
        ((2**31 - 1).to_bytes(4, "little") + b"{}", "promises 2147483647 bytes of metadata"),
    ],
)
def test_what_is_no_engine_exits_with_2(inspect, tmp_path, content, said):
    (tmp_path / "m.engine").write_bytes(content)

    left, out, err = inspect(tmp_path / "m.engine")

    assert (left, out) == (2, "")
    assert said in err
    assert "  fix: " in err


def test_a_bare_plan_has_nothing_to_strip(inspect, plan, tmp_path):
    left, _, err = inspect(plan, "--strip", tmp_path / "bare.plan")

    assert left == 2
    assert "is a bare plan already" in err
    assert not (tmp_path / "bare.plan").exists()
