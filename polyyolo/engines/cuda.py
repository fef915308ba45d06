"""The few calls of CUDA's driver that loading and measuring an engine need, through ctypes.

The driver library comes with the driver, so it is there wherever a GPU is; the runtime library need not be. Streams and
memory of both are the same things, as long as both use the device's primary context, which TensorRT does.
"""

import ctypes
from typing import Any

from polyyolo.errors import ToolchainError

LIBRARY = "libcuda.so.1"
NON_BLOCKING, THREAD_LOCAL = 1, 1
OUT_OF_MEMORY = 2
FIX = "run it on a machine with an NVIDIA GPU and its driver; polyyolo bundle packs what that needs"


class Cuda:
    """CUDA's first device.

    Every handle is an integer, as TensorRT's bindings want it. Nothing is freed: the process ends soon.

    Raises:
        ToolchainError: there is no driver or no GPU, or its memory is too full to begin.
    """

    def __init__(self, library: str = LIBRARY) -> None:
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise ToolchainError(f"no NVIDIA driver: {error}", fix=FIX) from error
        self._call("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)
        self._device = device

    def name(self) -> str:
        """Name the device, as "NVIDIA H200"."""
        text = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", text, len(text), self._device)
        return text.value.decode(errors="replace")

    def stream(self) -> int:
        """Make a stream that does not wait for the default one."""
        return self._made("cuStreamCreate", NON_BLOCKING)

    def event(self) -> int:
        """Make an event with a time, which is waited for by spinning."""
        return self._made("cuEventCreate", 0)

    def allocate(self, size: int) -> int:
        """Allocate ``size`` bytes on the device; at least one, so that empty tensors have an address too."""
        return self._made("cuMemAlloc_v2", ctypes.c_size_t(max(size, 1)))

    def allocate_host(self, size: int) -> int:
        """Allocate ``size`` bytes that the device can copy from and to by itself."""
        return self._made("cuMemAllocHost_v2", ctypes.c_size_t(max(size, 1)))

    def to_device(self, device: int, host: int, size: int, stream: int) -> None:
        """Copy ``size`` bytes to the device."""
        words = ctypes.c_void_p(device), ctypes.c_void_p(host), ctypes.c_size_t(size), ctypes.c_void_p(stream)
        self._call("cuMemcpyHtoDAsync_v2", *words)

    def to_host(self, host: int, device: int, size: int, stream: int) -> None:
        """Copy ``size`` bytes back."""
        words = ctypes.c_void_p(host), ctypes.c_void_p(device), ctypes.c_size_t(size), ctypes.c_void_p(stream)
        self._call("cuMemcpyDtoHAsync_v2", *words)

    def record(self, event: int, stream: int) -> None:
        """Let ``event`` take the time when all that is in the stream so far is done."""
        self._call("cuEventRecord", ctypes.c_void_p(event), ctypes.c_void_p(stream))

    def await_event(self, stream: int, event: int) -> None:
        """Let the stream wait for an event of another one."""
        self._call("cuStreamWaitEvent", ctypes.c_void_p(stream), ctypes.c_void_p(event), 0)

    def synchronize(self, event: int) -> None:
        """Wait until ``event`` has its time."""
        self._call("cuEventSynchronize", ctypes.c_void_p(event))

    def drain(self, stream: int) -> None:
        """Wait until a stream has done all its work."""
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def elapsed_ms(self, start: int, end: int) -> float:
        """Give the time between two events in milliseconds."""
        value = ctypes.c_float()
        self._call("cuEventElapsedTime", ctypes.byref(value), ctypes.c_void_p(start), ctypes.c_void_p(end))
        return value.value

    def begin_capture(self, stream: int) -> None:
        """Write down what comes into the stream instead of doing it."""
        self._call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), THREAD_LOCAL)

    def end_capture(self, stream: int) -> int:
        """Make what was written down a graph that can be launched."""
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        self._call("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_ulonglong(0))
        return ready.value or 0

    def drop_capture(self, stream: int) -> None:
        """End a capture that failed; its graph is of no use."""
        graph = ctypes.c_void_p()
        self._library.cuStreamEndCapture(ctypes.c_void_p(stream), ctypes.byref(graph))

    def launch(self, graph: int, stream: int) -> None:
        """Launch a graph."""
        self._call("cuGraphLaunch", ctypes.c_void_p(graph), ctypes.c_void_p(stream))

    def _made(self, function: str, argument: Any) -> int:  # noqa: ANN401 - whatever ctypes takes
        handle = ctypes.c_void_p()
        self._call(function, ctypes.byref(handle), argument)
        return handle.value or 0

    def _call(self, function: str, *arguments: Any) -> None:  # noqa: ANN401 - whatever ctypes takes
        status = getattr(self._library, function)(*arguments)
        if status == OUT_OF_MEMORY:
            raise ToolchainError(
                f"the GPU's memory is full ({function})",
                fix="free it (other programs may hold it), or take a smaller batch",
            )
        if status:
            raise ToolchainError(f"CUDA's {function} failed: {self._error(status)}", fix=FIX)

    def _error(self, status: int) -> str:
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(status, ctypes.byref(text))
        return f"{(text.value or b'unknown').decode()} ({status})"
