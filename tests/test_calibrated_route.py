"""The calibrated route from a model and pictures to an engine: our scales, no calibration on the GPU."""

import sys
from collections import Counter

import pytest
from attrs import evolve

from polyyolo import pipeline
from polyyolo.calibration import cache_file
from polyyolo.engines import toolchain
from polyyolo.engines.build import build
from polyyolo.engines.plan import BuildOptions, make_plan
from polyyolo.engines.profiles import default
from polyyolo.errors import InputError, ModelError, TableError, ToolchainError
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.placement import FloatBudget
from polyyolo.records import Precision, Request, Route, Toolchain, ToolchainKind
from polyyolo.verification.layers import layers

PLAN = "b'ftrt' + bytes(12) + (64).to_bytes(8, 'little') + bytes([8, 6, 1, 0]) + bytes(36)"


@pytest.fixture
def asked(little_yolo, little_pictures, tmp_path):
    return Request(
        model=str(little_yolo),
        images=little_pictures,
        route=Route.CALIBRATED,
        keep_float=("stem",),
        output=tmp_path / "run",
    )


@pytest.fixture
def trtexec(monkeypatch, tmp_path):
    """Let a script be the trtexec of TensorRT 8.6.1: it keeps the cache that it was given, and writes a plan."""
    script = tmp_path / "trtexec"
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, shutil, sys\n"
        "told = dict(word[2:].partition('=')[::2] for word in sys.argv[1:])\n"
        f"shutil.copy(told['calib'], {str(tmp_path / 'read.cache')!r})\n"
        f"pathlib.Path(told['saveEngine']).write_bytes({PLAN})\n"
    )
    script.chmod(0o755)
    found = Toolchain(ToolchainKind.TENSORRT, tensorrt="8.6.1", trtexec=script)
    monkeypatch.setattr(toolchain, "find", lambda _: found)
    return script


def test_trtexec_gets_the_fp32_model_and_the_cache(asked, trtexec):
    run = pipeline.engine(asked)

    folder = asked.output
    assert run.plan.command.argv == (
        str(trtexec),
        f"--onnx={folder / 'model.onnx'}",
        f"--saveEngine={folder / 'model.plan'}",
        *("--int8", "--fp16", f"--calib={folder / 'calibration.cache'}"),
        *("--precisionConstraints=obey", "--layerPrecisions=node_of_stem_conv:fp16"),
        *("--profilingVerbosity=detailed", "--skipInference"),
    )
    assert (trtexec.parent / "read.cache").read_text() == (folder / "calibration.cache").read_text()
    assert cache_file.read(folder / "calibration.cache").version == 8601
    assert (run.built.path, run.built.quantized) == (folder / "model.onnx", False)


@pytest.mark.usefixtures("trtexec")
def test_what_runs_in_int8_and_what_it_costs_is_told_of_the_qdq_model_of_the_same_scales(asked):
    run = pipeline.engine(asked)

    qdq = layers(read_spec(run.folder / "model.int8.onnx"), (64, 64), FloatBudget(0.10))
    told, predicted = (Counter(layer.precision for layer in each if layer.macs) for each in (run.layers, qdq))
    assert told == {Precision.INT8: 13, Precision.FP16: 1}, "TensorRT runs the head in INT8, too"
    assert predicted == {Precision.INT8: 13, Precision.FP32: 1}
    assert "head output" not in run.in_float.values()
    assert max(run.fidelity.signal_to_noise_db.values()) < 100, "FP32 against itself would have no noise at all"


@pytest.mark.usefixtures("trtexec")
def test_the_same_again_reuses_the_engine_and_another_method_does_not(asked):
    pipeline.engine(asked)

    assert "build" in pipeline.engine(asked).reused
    changed = pipeline.engine(evolve(asked, method="max"))
    assert {"cache", "build"}.isdisjoint(changed.reused)


def test_where_nothing_builds_the_model_and_its_cache_are_the_result(asked):
    run = pipeline.engine(evolve(asked, toolchain="none"))

    scales = cache_file.read(asked.output / "calibration.cache").scales
    assert run.plan is None
    assert {"stem", "joined", "p4_conv"} < set(scales)
    assert {"images", "stem_conv"} < set(scales), "what stays in float is named to the builder"
    assert {"h3", "output0"}.isdisjoint(scales), "the head has no scale"
    assert {node.op_type for node in load(asked.output / "model.onnx").graph.node}.isdisjoint({"QuantizeLinear"})


@pytest.mark.parametrize(
    ("tensorrt", "precision", "told"),
    [
        ("11.4", Precision.INT8, "has no INT8 calibrator"),
        ("11.4", Precision.FP32, "the calibrated route is a way to INT8"),
        ("8.6", Precision.FP16, "the calibrated route is a way to INT8"),
        ("", Precision.FP16, "the calibrated route is a way to INT8"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_before_any_work(asked, monkeypatch, tensorrt, precision, told):
    found = toolchain.named(tensorrt) if tensorrt else Toolchain(ToolchainKind.NONE)
    monkeypatch.setattr(toolchain, "find", lambda _: found)

    with pytest.raises((InputError, ToolchainError), match=told):
        pipeline.engine(evolve(asked, precision=precision))

    assert not asked.output.exists()


def test_a_model_with_qdq_is_refused_since_its_scales_would_win(asked, tmp_path):
    pipeline.engine(evolve(asked, toolchain="none"))
    quantized = evolve(asked, model=str(asked.output / "model.int8.onnx"), toolchain="none", output=tmp_path / "again")

    with pytest.raises(ModelError, match="ignore the calibration cache without a word"):
        pipeline.engine(quantized)


@pytest.mark.usefixtures("trtexec")
def test_a_build_refuses_a_foreign_cache_before_anything_runs(shared, little_yolo, tmp_path):
    cache = shared / "fixtures/trtexec-8.6.0/yolov5s.entropy2.cache"
    spec = read_spec(little_yolo)
    options = BuildOptions(route=Route.CALIBRATED, calibration_cache=cache)
    plan = make_plan(spec, default(spec), toolchain.find("auto"), tmp_path / "yolo.plan", options)

    with pytest.raises(TableError, match="it was made for another one"):
        build(plan, tmp_path / "log", run=lambda *_: pytest.fail("it was built"))
