"""Layers out of an engine itself."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from polyyolo.engine_layers.inspector import inspect_engine, layers_of
from polyyolo.engines.gpu import first_gpu
from polyyolo.errors import InputError, ToolchainError

PLAN = b"ftrt" + bytes(12) + (64).to_bytes(8, "little") + bytes([8, 6, 1, 6]) + bytes(36)
TRT = SimpleNamespace(LayerInformationFormat=SimpleNamespace(JSON="json"))


def loaded(told):
    """An ICudaEngine whose inspector says this."""
    return SimpleNamespace(
        create_engine_inspector=lambda: SimpleNamespace(get_engine_information={"json": told}.__getitem__)
    )


def test_an_inspector_says_what_trtexec_exports():
    layer = {"Name": "conv", "LayerType": "CaskConvolution", "Inputs": [], "Outputs": [], "Metadata": "[ONNX Layer: c]"}

    [found] = layers_of(loaded(json.dumps({"Layers": [layer]}).replace("c]", "c]\x1e[ONNX Layer: d]")), TRT, Path("e"))

    assert (found.name, found.kind, found.nodes) == ("conv", "CaskConvolution", ("c", "d"))


def test_an_engine_built_without_detail_is_told_how_to_be_built():
    with pytest.raises(InputError, match="holds names of 1 layers and nothing else") as error:
        layers_of(loaded('{"Layers": ["conv"]}'), TRT, Path("yolo.plan"))

    assert "--profilingVerbosity=detailed" in error.value.fix


def test_without_tensorrt_the_commands_for_where_it_runs_are_told(monkeypatch, tmp_path):
    plan = tmp_path / "yolo.plan"
    plan.write_bytes(PLAN)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr("polyyolo.engines.bindings.version_here", lambda _: "")

    with pytest.raises(ToolchainError, match=r"built with TensorRT 8\.6\.1\.6, and Python's tensorrt cannot") as error:
        inspect_engine(plan)

    assert f"--loadEngine={plan} --exportLayerInfo=layers.json" in error.value.fix


def test_an_engine_of_another_version_is_refused_by_its_bytes(monkeypatch, tmp_path):
    (tmp_path / "yolo.plan").write_bytes(PLAN)
    monkeypatch.setattr("polyyolo.engines.bindings.version_here", lambda _: "10.3.0")

    with pytest.raises(ToolchainError, match=r"TensorRT 8\.6\.1\.6, and 10\.3\.0 is here"):
        inspect_engine(tmp_path / "yolo.plan")


@pytest.mark.parametrize("data", [b"", b"ftrt", b"PK\x03\x04" + bytes(40), bytes(64)])
def test_what_is_no_engine_is_refused_without_a_gpu(tmp_path, data):
    (tmp_path / "yolo.plan").write_bytes(data)

    with pytest.raises(InputError):
        inspect_engine(tmp_path / "yolo.plan")


@pytest.mark.gpu
def test_an_engine_of_this_machine_tells_its_layers(little_yolo, tmp_path):
    trt = pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    backend = pytest.importorskip("polygraphy.backend.trt")
    if first_gpu().missing:
        pytest.skip(first_gpu().missing)
    config = backend.CreateConfig(profiling_verbosity=trt.ProfilingVerbosity.DETAILED)
    network = backend.NetworkFromOnnxPath(str(little_yolo))
    backend.SaveEngine(backend.EngineFromNetwork(network, config), str(tmp_path / "yolo.plan"))()

    layers = inspect_engine(tmp_path / "yolo.plan")

    assert sum(layer.is_weighted for layer in layers) >= 14
    assert {layer.precision for layer in layers if layer.is_weighted} == {"FP32"}
