"""Queries that follow one another on the GPU, timed by CUDA's events as trtexec does it (sampleInference.cpp).

Two are under way at a time, so that the GPU never waits for Python; copies have streams of their own; a query's own
time is between the events right before and right after its kernels.
"""

import ctypes
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import define, field, frozen

from polyyolo.benchmarking.shapes import Point
from polyyolo.engines.cuda import Cuda
from polyyolo.engines.trtexec_results import Times
from polyyolo.engines.trtexec_shapes import spelled
from polyyolo.errors import InputError, ToolchainError

DEPTH = 2
FLOATS = {"FLOAT": np.float32, "HALF": np.float16}


@frozen
class Streams:
    """What queries run in, one after the other; to be made once in a process.

    On an H200 kernels took 5 and 7% longer (YOLOv4-tiny, YOLOv5s) in streams that were made later, whatever else was
    the same: context, buffers, graph, or the earlier ones destroyed. Why is not known.

    Attributes:
        into: copies to the GPU.
        work: kernels.
        out: copies back.
    """

    into: int
    work: int
    out: int

    @classmethod
    def of(cls, cuda: Cuda) -> "Streams":
        """Make them."""
        return cls(cuda.stream(), cuda.stream(), cuda.stream())


@frozen
class Buffer:
    """Memory of one input or output, on the GPU and beside it."""

    device: int
    host: int
    size: int
    is_input: bool


@define
class Slot:
    """Events of one query; it changes as queries come and go."""

    copy_in: int
    copied_in: int
    start: int
    end: int
    copy_out: int
    copied_out: int
    is_active: bool = field(default=False, init=False)


class Queries:
    """One engine at one point, with all memory that it needs.

    Args:
        cuda: the device.
        streams: to run in.
        loaded: TensorRT's ICudaEngine.
        point: shapes of all inputs, and the profile that holds them.
        copies: move inputs to the GPU and outputs back with each query.

    Raises:
        InputError: the engine does not take these shapes.
        ToolchainError: the GPU's memory is full.
    """

    def __init__(self, cuda: Cuda, streams: Streams, loaded: Any, point: Point, *, copies: bool) -> None:  # noqa: ANN401 - no types
        self._cuda = cuda
        self._copies = copies
        self._into, self._work, self._out = streams.into, streams.work, streams.out
        self._context = _context(loaded, point, self._work)
        self._buffers = tuple(
            self._buffer(loaded, loaded.get_tensor_name(index)) for index in range(loaded.num_io_tensors)
        )
        self._slots = [Slot(*(cuda.event() for _ in range(6))) for _ in range(DEPTH)]
        self._graph = 0
        self._enqueue()
        cuda.drain(self._work)

    def capture(self) -> bool:
        """Make one CUDA graph of a query; whether that could be done."""
        self._cuda.begin_capture(self._work)
        try:
            self._enqueue()
            self._graph = self._cuda.end_capture(self._work)
        except ToolchainError:
            self._cuda.drop_capture(self._work)
        return bool(self._graph)

    def run(self, seconds: float, *, fewest: int) -> Times:
        """Run queries for ``seconds``, and ``fewest`` at least."""
        origin, found = self._cuda.event(), list[tuple[float, float, float, float]]()
        self._cuda.record(origin, self._into if self._copies else self._work)
        until, begun = time.monotonic() + seconds, 0
        while time.monotonic() < until or begun < fewest:
            slot = self._slots[begun % DEPTH]
            found.extend(self._finished(slot, origin))
            self._begin(slot)
            begun += 1
        for place in range(begun, begun + DEPTH):
            found.extend(self._finished(self._slots[place % DEPTH], origin))
        compute, total, begins, ends = np.array(found, np.float64).reshape(-1, 4).T
        return Times(compute, total, float(ends.max() - begins.min()) if found else 0.0)

    def _begin(self, slot: Slot) -> None:
        cuda = self._cuda
        if self._copies:
            cuda.record(slot.copy_in, self._into)
            for buffer in self._inputs():
                cuda.to_device(buffer.device, buffer.host, buffer.size, self._into)
            cuda.record(slot.copied_in, self._into)
            cuda.await_event(self._work, slot.copied_in)
        cuda.record(slot.start, self._work)
        self._enqueue()
        cuda.record(slot.end, self._work)
        if self._copies:
            cuda.await_event(self._out, slot.end)
            cuda.record(slot.copy_out, self._out)
            for buffer in self._outputs():
                cuda.to_host(buffer.host, buffer.device, buffer.size, self._out)
            cuda.record(slot.copied_out, self._out)
        slot.is_active = True

    def _finished(self, slot: Slot, origin: int) -> Iterator[tuple[float, float, float, float]]:
        """Wait for a query; yield its own time, that with the copies, and when both began and ended."""
        if not slot.is_active:
            return
        elapsed = self._cuda.elapsed_ms
        first, last = (slot.copy_in, slot.copied_out) if self._copies else (slot.start, slot.end)
        self._cuda.synchronize(last)
        slot.is_active = False
        compute = elapsed(slot.start, slot.end)
        moved = elapsed(first, slot.copied_in) + elapsed(slot.copy_out, last) if self._copies else 0.0
        yield compute, compute + moved, elapsed(origin, first), elapsed(origin, last)

    def _enqueue(self) -> None:
        if self._graph:
            self._cuda.launch(self._graph, self._work)
        elif not self._context.execute_async_v3(self._work):
            raise ToolchainError(
                "TensorRT could not launch the engine", fix="see whether trtexec can, and what it says"
            )

    def _inputs(self) -> Iterator[Buffer]:
        return (buffer for buffer in self._buffers if buffer.is_input)

    def _outputs(self) -> Iterator[Buffer]:
        return (buffer for buffer in self._buffers if not buffer.is_input)

    def _buffer(self, loaded: Any, name: str) -> Buffer:  # noqa: ANN401 - TensorRT's bindings have no types
        """Allocate one input or output, and fill an input with random numbers: zeros would cost less power."""
        dtype, is_input = loaded.get_tensor_dtype(name), loaded.get_tensor_mode(name).name == "INPUT"
        shape = tuple(self._context.get_tensor_shape(name))
        size = int(np.prod(shape)) * dtype.itemsize if is_input else self._context.get_max_output_size(name)
        buffer = Buffer(self._cuda.allocate(size), self._cuda.allocate_host(size), size, is_input)
        if is_input:
            _fill(buffer, dtype.name)
            self._cuda.to_device(buffer.device, buffer.host, size, self._work)
        self._context.set_tensor_address(name, buffer.device)
        return buffer


def _context(loaded: Any, point: Point, stream: int) -> Any:  # noqa: ANN401 - TensorRT's bindings have no types
    context = loaded.create_execution_context()
    if context is None:
        raise ToolchainError(
            "TensorRT could not make an execution context: the GPU's memory is probably full",
            fix="free it (other programs may hold it)",
        )
    if point.profile:
        context.set_optimization_profile_async(point.profile, stream)
    for name, shape in point.shapes.items():
        if not context.set_input_shape(name, shape):
            raise InputError(
                f"the engine does not take {spelled(point.shapes)}", fix="polyyolo inspect engine shows what it takes"
            )
    return context


def _fill(buffer: Buffer, dtype: str) -> None:
    content = np.ctypeslib.as_array((ctypes.c_uint8 * buffer.size).from_address(buffer.host))
    generator = np.random.default_rng(0)
    if dtype in FLOATS:
        values = content.view(FLOATS[dtype])
        values[:] = generator.random(values.size, np.float32)
    else:
        content[:] = generator.integers(0, 128, buffer.size) if "INT8" in dtype else 0
