"""The measurement in this process, on a pretended driver whose clocks tell exactly what each query should take."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from polyyolo.benchmarking.event_meter import EventMeter
from polyyolo.benchmarking.reading import NO_GRAPH, benchmark_of
from polyyolo.benchmarking.shapes import Point
from polyyolo.engines.cuda import Cuda
from polyyolo.engines.trtexec_timing import Timing
from polyyolo.errors import InputError, ToolchainError

SHORT = Timing(warm_up_ms=0, duration_s=0.02)
FOUR = Point({"images": (4, 3, 64, 64)})


@pytest.fixture
def meter(tensorrt, cuda, plan):
    def make(**engine):
        loaded = tensorrt()
        for name, value in engine.items():
            setattr(loaded, name, value)
        return EventMeter(plan(), cuda), loaded

    return make


def test_gpu_compute_is_what_the_kernels_take(meter):
    read = meter()[0].measure(FOUR, SHORT)

    assert read.compute.median_ms == pytest.approx(0.5, abs=1e-4)
    assert read.total == read.compute
    assert read.queries_per_s == pytest.approx(2000, rel=0.001)
    assert read.compute.samples >= 10
    assert (read.gpu, read.measured_by) == ("NVIDIA Fake", "TensorRT 8.6.0, CUDA graph")
    assert read.shapes == {"images": (4, 3, 64, 64)}


def test_copies_are_in_the_total_and_overlap_the_kernels(meter):
    """The streams copy 0.1 ms in and 0.2 ms back beside kernels of 0.5 ms: only the kernels bound the rate."""
    read = meter()[0].measure(FOUR, evolve(SHORT, copies=True))

    assert read.compute.median_ms == pytest.approx(0.5, abs=1e-3)
    assert read.total.median_ms == pytest.approx(0.8, abs=1e-3)
    assert read.queries_per_s == pytest.approx(2000, rel=0.05)


def test_the_input_is_random_numbers_and_not_zeros(meter):
    """Zeros toggle no bits: a GPU that computes on them draws less power and clocks higher."""
    measuring, loaded = meter()
    measuring.measure(FOUR, SHORT)

    address = loaded.contexts[-1].addresses["images"]
    values = np.ctypeslib.as_array((ctypes.c_float * (4 * 3 * 64 * 64)).from_address(address))
    assert 0.45 < values.mean() < 0.55
    assert (values.min() >= 0, values.max() < 1) == (True, True)


def test_an_engine_that_cannot_be_captured_is_measured_and_labelled(meter):
    read = meter(can_be_captured=False)[0].measure(FOUR, SHORT)

    assert not read.graph
    assert read.measured_by == "TensorRT 8.6.0, CUDA events"
    assert read.compute.median_ms == pytest.approx(0.5, abs=1e-4)


def test_all_points_run_in_the_same_streams(meter, monkeypatch):
    """In streams that are made later kernels were slower on a real GPU."""
    made = []
    stream = Cuda.stream
    monkeypatch.setattr(Cuda, "stream", lambda self: made.append(stream(self)) or made[-1])

    measured = meter()[0]
    for timing in (SHORT, evolve(SHORT, copies=True)):
        measured.measure(FOUR, timing)

    assert len(made) == 3


def test_no_graph_was_asked_for_so_none_is_missed(meter):
    read = meter()[0].measure(FOUR, evolve(SHORT, graph=False))

    assert read.measured_by == "TensorRT 8.6.0, CUDA events"
    made = benchmark_of(read, Path("model.plan"), "0" * 64, evolve(SHORT, graph=False))
    assert "not comparable: measured without a CUDA graph" in made.warnings
    assert NO_GRAPH not in made.warnings


def test_ten_queries_are_measured_however_long_they_take(meter):
    read = meter()[0].measure(FOUR, evolve(SHORT, duration_s=0))

    assert read.compute.samples == 10
    assert any("only 10 queries" in remark for remark in read.remarks)


def test_what_the_engine_takes_is_asked_of_it(meter):
    [profile] = meter()[0].profiles()

    assert (profile["images"].min, profile["images"].max) == ((1, 3, 64, 64), (8, 3, 64, 64))


def test_a_shape_that_the_engine_refuses_is_told(meter):
    with pytest.raises(InputError, match="does not take images:16x3x64x64"):
        meter()[0].measure(Point({"images": (16, 3, 64, 64)}), SHORT)


def test_several_streams_need_trtexec(meter):
    with pytest.raises(InputError, match="4 streams can be measured with trtexec only"):
        meter()[0].measure(FOUR, evolve(SHORT, streams=4))


def test_a_full_gpu_is_the_machines_fault(meter, libcuda):
    measuring, _ = meter()
    library = ctypes.CDLL(str(libcuda))
    library.fake_fail_allocation_after(0)
    try:
        with pytest.raises(ToolchainError, match="the GPU's memory is full") as error:
            measuring.measure(FOUR, SHORT)
    finally:
        library.fake_fail_allocation_after(-1)

    assert "smaller batch" in error.value.fix


def test_no_engine_is_given_to_tensorrt_where_the_memory_is_full(tensorrt, cuda, libcuda, plan):
    """TensorRT 8.6.0 would end the whole process there."""
    tensorrt(said="TensorRT was asked")
    library = ctypes.CDLL(str(libcuda))
    library.fake_fill(1)
    try:
        with pytest.raises(ToolchainError, match="the GPU's memory is full") as error:
            EventMeter(plan(), cuda)
    finally:
        library.fake_fill(0)

    assert "free it" in error.value.fix


def test_a_context_that_cannot_be_made_is_told(meter):
    measuring, _ = meter(create_execution_context=lambda: None)

    with pytest.raises(ToolchainError, match="could not make an execution context"):
        measuring.measure(FOUR, SHORT)


def test_no_driver_is_told_with_what_to_do():
    with pytest.raises(ToolchainError, match=r"no NVIDIA driver: libnowhere\.so\.1") as error:
        Cuda("libnowhere.so.1")

    assert "polyyolo bundle" in error.value.fix


def test_a_fault_of_cuda_is_told_in_its_own_words(cuda):
    with pytest.raises(ToolchainError, match=r"CUDA's cuEventSynchronize failed: a fault \(1\)"):
        cuda.synchronize(0)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "The engine plan file is not compatible, expecting library version 8.6.0.12 got 8.5.3.1, please rebuild.",
            "was built with TensorRT 8.5.3.1, and 8.6.0.12 is here",
        ),
        (
            "The engine plan file is generated on an incompatible device, expecting compute 9.0 got compute 8.6.",
            "was built on a GPU of compute capability 8.6, and this one has 9.0",
        ),
        ("Error Code 1: Cuda Runtime (no CUDA-capable device is detected)", "CUDA finds no GPU that it can use"),
        ("something never seen", "it said: something never seen"),
    ],
)
def test_an_engine_that_tensorrt_refuses_is_told_with_its_reason(tensorrt, cuda, plan, said, told):
    tensorrt(said=said)

    with pytest.raises(ToolchainError) as error:
        EventMeter(plan(), cuda)

    assert told in error.value.message
    assert error.value.fix
