"""A GPU whose memory other programs hold: one clear error that says so, and no engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import polyyolo

pytestmark = pytest.mark.gpu

FILL = """
import ctypes
from polyyolo.engines.cuda import Cuda
from polyyolo.errors import ToolchainError

cuda, driver = Cuda(), ctypes.CDLL("libcuda.so.1")
free, total = ctypes.c_size_t(), ctypes.c_size_t()
assert driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
part = free.value - (64 << 20)
while part > 4 << 20:
    try:
        cuda.allocate(part)
    except ToolchainError:
        part //= 2
    else:
        break
print("full", flush=True)
input()
"""
"""Takes all but 64 MiB, less than another program needs to begin; the system takes it back when the process ends."""


@pytest.fixture
def full_memory(builds):
    """Fill the GPU's memory, when asked to: other programs on this GPU would fail meanwhile."""
    if not os.environ.get("POLYYOLO_FILL_GPU"):
        pytest.skip("fills the GPU's memory: set POLYYOLO_FILL_GPU=1 where nothing else uses the GPU")
    for job in builds.started.values():
        job.done()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    root = Path(polyyolo.__file__).resolve().parent.parent
    with subprocess.Popen([sys.executable, "-c", FILL], cwd=root, text=True, **pipes) as holder:
        assert holder.stdout.readline() == "full\n"
        yield
        holder.communicate("\n", timeout=60)


@pytest.mark.usefixtures("full_memory")
def test_an_engine_is_not_measured_where_the_gpu_is_full(builds, jobs, measuring, tmp_path):
    engine = builds.engine("static")

    done = jobs.run("bench", engine, "--program", measuring, "--duration", 0.1, "-o", tmp_path / "benchmark.json")

    assert done.status == 3, str(done)
    assert done.is_one_clear_error, str(done)
    assert "memory" in done.errors[0]
    assert "free" in done.errors[1]
    assert not (tmp_path / "benchmark.json").exists()


@pytest.mark.usefixtures("full_memory")
def test_no_engine_is_built_where_the_gpu_is_full(jobs, building, little, tmp_path):
    done = jobs.run("build", little.static, "--program", building, "-o", tmp_path / "e.plan")

    assert done.status in (3, 4), str(done)
    assert done.is_one_clear_error, str(done)
    assert "free memory (other programs may hold the GPU's)" in done.errors[1]
    assert [path.name for path in tmp_path.iterdir()] == ["e.plan.log"]


@pytest.mark.usefixtures("full_memory", "bindings")
def test_an_engine_is_not_run_where_the_gpu_is_full(builds, jobs, little, tmp_path):
    words = ("--images", little.pictures, "--against", little.static, "--quiet", "-o", tmp_path / "verified")

    done = jobs.run("verify", builds.engine("static"), "--model", little.static, *words)

    assert done.status == 3, str(done)
    assert done.is_one_clear_error, str(done)
    assert "memory" in done.errors[0] + done.errors[1]
