"""The GPU is the one that CUDA takes, and a machine without one says why."""

import pytest

from polyyolo.engines.gpu import Gpu, first_gpu

FOUR = """case " $* " in
*" --id=2 "*|*" --id=GPU-0f8b5f5e-0000-4000-8000-00000000002a "*) echo "Third, 8.6";;
*" --id="*) echo "No devices were found"; exit 6;;
*) printf 'First, 9.0\\nSecond, 8.9\\nThird, 8.6\\nFourth, 7.5\\n';;
esac"""
"""An nvidia-smi with four GPUs; it takes numbers and whole UUIDs."""


@pytest.fixture(autouse=True)
def machine(programs, monkeypatch):
    programs(nvidia_smi=FOUR)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("visible", ["2", "2,0", " 2 ", "GPU-0f8b5f5e-0000-4000-8000-00000000002a"])
def test_the_gpu_is_the_one_that_cuda_was_given(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert first_gpu() == Gpu("Third", "8.6")


@pytest.mark.parametrize("visible", ["GPU-0f8b", "MIG-0f8b5f5e-0000-4000-8000-00000000002a"])
def test_a_name_that_nvidia_smi_does_not_take_is_the_first_gpu(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert first_gpu() == Gpu("First", "9.0")


@pytest.mark.parametrize("visible", ["", "-1", "-1,0"])
def test_cuda_may_be_given_none(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert first_gpu().missing == f"no NVIDIA GPU: CUDA_VISIBLE_DEVICES is {visible!r}, which hides every one"


def test_a_gpu_that_is_not_there_is_none(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")

    assert "nvidia-smi failed" in first_gpu().missing
