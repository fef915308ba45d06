"""Measure with TensorRT in this process and CUDA's events, where no trtexec is installed."""

from collections.abc import Mapping

from attrs import evolve

from polyyolo.benchmarking.queries import Queries, Streams
from polyyolo.benchmarking.reading import Reading, reading_of
from polyyolo.benchmarking.shapes import Point
from polyyolo.engines.bindings import load, version_here
from polyyolo.engines.cuda import Cuda
from polyyolo.engines.engine_file import EngineFile
from polyyolo.engines.inside import describe
from polyyolo.engines.trtexec_timing import Timing
from polyyolo.errors import InputError
from polyyolo.records import ShapeRange, ToolchainKind

FEWEST = 10
"""Queries, however long they take; trtexec's own minimum."""


class EventMeter:
    """One engine, loaded once.

    Args:
        engine: the file.
        cuda: the device.

    Raises:
        ToolchainError: there is no GPU, no TensorRT, or the engine is for another version or GPU.
        InputError: the engine is damaged.
    """

    def __init__(self, engine: EngineFile, cuda: Cuda | None = None) -> None:
        self.engine = engine
        self._cuda = cuda or Cuda()
        self._streams = Streams.of(self._cuda)
        self._loaded = load(engine)

    def profiles(self, *_: object) -> tuple[Mapping[str, ShapeRange], ...]:
        """Ask what the engine takes."""
        return describe(self._loaded).profiles

    def measure(self, point: Point, timing: Timing) -> Reading:
        """Measure one point.

        Raises:
            InputError: the engine does not take these shapes, or several streams were asked for.
            ToolchainError: CUDA failed, or the GPU's memory is full.
        """
        if timing.streams > 1:
            raise InputError(
                f"{timing.streams} streams can be measured with trtexec only", fix="leave --streams out, or install it"
            )
        queries = Queries(self._cuda, self._streams, self._loaded, point, copies=timing.copies)
        captured = timing.graph and queries.capture()
        queries.run(timing.warm_up_ms / 1000, fewest=0)
        ran = queries.run(timing.duration_s, fewest=FEWEST)
        read = reading_of(ran)
        return evolve(
            read,
            shapes=point.shapes,
            gpu=self._cuda.name(),
            measured_by=self._name(captured=captured),
            graph=captured,
        )

    def _name(self, *, captured: bool) -> str:
        product = "TensorRT for RTX" if self.engine.kind is ToolchainKind.RTX else "TensorRT"
        return f"{product} {version_here(self.engine.kind)}, {'CUDA graph' if captured else 'CUDA events'}"
