"""Real plans of real models with TensorRT for RTX, on a machine with no GPU."""

import pytest

from polyyolo.engines.build import build
from polyyolo.engines.plan import BuildOptions, make_plan
from polyyolo.engines.plan_file import fault_of
from polyyolo.engines.profiles import default, load
from polyyolo.engines.toolchain import find
from polyyolo.errors import ToolchainError, ToolFailed
from polyyolo.models.spec import read_spec
from polyyolo.records import Precision, Profile, ShapeRange, ToolchainKind

FP32 = BuildOptions(precision=Precision.FP32)


@pytest.fixture(scope="module")
def rtx():
    try:
        return find("rtx")
    except ToolchainError as missing:
        pytest.skip(missing.message)


@pytest.fixture
def built(rtx, models, tmp_path):
    """Build a model for a profile, and give the log."""

    def run(model, profile):
        log = tmp_path / "build.log"
        spec = read_spec(models / f"{model}.onnx")
        build(make_plan(spec, profile, rtx, tmp_path / "yolo.engine", FP32), log)
        return log.read_text()

    return run


@pytest.mark.parametrize(
    ("model", "megabytes"), [("yolov5s-640", (25, 40)), ("yolov8n-640", (12, 20)), ("yolov4-tiny-416", (20, 32))]
)
def test_a_model_of_fixed_shape_becomes_a_plan(rtx, models, tmp_path, model, megabytes):
    spec = read_spec(models / f"{model}.onnx")

    engine = build(make_plan(spec, default(spec), rtx, tmp_path / "yolo.plan", FP32), tmp_path / "build.log")

    low, high = megabytes
    assert low * 10**6 < engine.size_bytes < high * 10**6
    assert fault_of(engine.path, ToolchainKind.RTX) == ""
    assert engine.build_seconds < 60


@pytest.mark.parametrize(
    ("model", "profile", "told"),
    [
        ("yolov5s-dyn", "batch-1-16", "min=[1, 3, 640, 640], opt=[8, 3, 640, 640], max=[16, 3, 640, 640]"),
        ("yolov5s-dyn", "wide-384x1280", "min=[1, 3, 384, 1280], opt=[12, 3, 384, 1280], max=[26, 3, 384, 1280]"),
        ("yolov8n-dyn", "multi-scale-320-1280", "min=[1, 3, 320, 320], opt=[1, 3, 640, 640], max=[1, 3, 1280, 1280]"),
    ],
)
def test_a_model_with_open_axes_becomes_a_plan_of_its_profile(built, model, profile, told):
    assert told in built(model, load(profile))


def test_several_optimisation_profiles_go_into_one_plan(built):
    shapes = [ShapeRange(*[(batch, 3, 320, 320)] * 3) for batch in (1, 4)]
    profile = Profile("two", tuple({"*": each} for each in shapes))

    assert "2 profile(s)" in built("yolov8n-dyn", profile)


def test_a_plan_can_be_made_for_turing_alone(rtx, models, tmp_path):
    spec = read_spec(models / "yolov8n-640.onnx")
    options = BuildOptions(precision=Precision.FP32, compute_capabilities=("7.5",))

    engine = build(make_plan(spec, default(spec), rtx, tmp_path / "yolo.plan", options), tmp_path / "build.log")

    assert engine.size_bytes > 10**7


def test_a_model_that_the_parser_refuses_is_their_failure_with_its_log(rtx, models, tmp_path, yolo):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((models / "yolov8n-640.onnx").read_bytes()[:100_000])
    spec = yolo(path=str(broken), quantized=False)
    log = tmp_path / "build.log"

    with pytest.raises(ToolFailed) as error:
        build(make_plan(spec, default(spec), rtx, tmp_path / "yolo.plan", FP32), log)

    assert error.value.status == 1
    assert error.value.tail in log.read_text()
    assert not (tmp_path / "yolo.plan").exists()
