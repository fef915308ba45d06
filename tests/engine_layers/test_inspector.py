"""Layers out of an engine itself."""

import pytest

from polyyolo.engine_layers import inspector
from polyyolo.engines.gpu import Gpu
from polyyolo.errors import ToolchainError


def test_without_a_gpu_the_commands_for_where_it_runs_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(inspector, "first_gpu", lambda: Gpu(missing="no NVIDIA GPU: nvidia-smi is not installed"))

    with pytest.raises(ToolchainError, match="no NVIDIA GPU") as error:
        inspector.inspect_engine(tmp_path / "yolo.plan")

    assert error.value.exit_code == 3
    assert f"--loadEngine={tmp_path / 'yolo.plan'} --exportLayerInfo=layers.json" in error.value.fix


def test_without_tensorrt_likewise(monkeypatch, tmp_path):
    monkeypatch.setattr(inspector, "first_gpu", lambda: Gpu("NVIDIA L4", "8.9"))
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)

    with pytest.raises(ToolchainError, match="tensorrt, which is not installed"):
        inspector.inspect_engine(tmp_path / "yolo.plan")


@pytest.mark.gpu
def test_an_engine_of_this_machine_tells_its_layers(little_yolo, tmp_path):
    trt = pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    backend = pytest.importorskip("polygraphy.backend.trt")
    if inspector.first_gpu().missing:
        pytest.skip(inspector.first_gpu().missing)
    config = backend.CreateConfig(profiling_verbosity=trt.ProfilingVerbosity.DETAILED)
    network = backend.NetworkFromOnnxPath(str(little_yolo))
    backend.SaveEngine(backend.EngineFromNetwork(network, config), str(tmp_path / "yolo.plan"))()

    layers = inspector.inspect_engine(tmp_path / "yolo.plan")

    assert sum(layer.is_weighted for layer in layers) >= 14
    assert {layer.precision for layer in layers if layer.is_weighted} == {"FP32"}
