"""How trtexec is told to measure an engine, to look into it, and to run it on known pictures."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from attrs import frozen

from polyyolo.benchmarking.shapes import told
from polyyolo.engines.profiles import dynamic_inputs
from polyyolo.engines.trtexec_timing import Dialect, Timing, timing_flags
from polyyolo.records import ModelSpec

VERBOSITY = "--profilingVerbosity=detailed"
"""For the build too: without it an engine forgets what its layers are."""
SPEED = Timing()
LAYERS = Timing(warm_up_ms=200, duration_s=1.0, graph=False)
"""A profile needs kernels that are launched one by one."""
OUTPUTS = Timing(warm_up_ms=0, duration_s=0.0, graph=False, copies=True)

Shapes = Mapping[str, Sequence[int]]


@frozen
class Measuring:
    """What is measured, and by which release.

    Attributes:
        spec: the ONNX that the engine was built from.
        engine: the plan file.
        release: major and minor of trtexec.
    """

    spec: ModelSpec
    engine: PurePosixPath
    release: tuple[int, int]

    def speed(self, shapes: Shapes, times: str) -> tuple[str, ...]:
        """Measure the GPU's work alone; ``times`` gets each query's times."""
        return (*self._engine(shapes), *timing_flags(Dialect(self.release), SPEED), f"--exportTimes={times}")

    def layers(self, shapes: Shapes, layers: str, profile: str) -> tuple[str, ...]:
        """Export what the layers are and what each takes; the times of such a run count for nothing else."""
        exports = (f"--exportLayerInfo={layers}", f"--exportProfile={profile}")
        return (*self._engine(shapes), *timing_flags(Dialect(self.release), LAYERS), VERBOSITY, *exports)

    def outputs(self, shapes: Shapes, source: str, exported: str) -> tuple[str, ...]:
        """Run the engine once on a file of raw values for the image input, and export what comes out."""
        files = (f"--loadInputs={_quoted(self.spec.image)}:{source}", f"--exportOutput={exported}")
        return (*self._engine(shapes), *timing_flags(Dialect(self.release), OUTPUTS), "--iterations=1", *files)

    def _engine(self, shapes: Shapes) -> tuple[str, ...]:
        """Name the engine, and shapes of inputs with open axes only: trtexec stops when it is told others."""
        opened = {tensor.name: tuple(shapes[tensor.name]) for tensor in dynamic_inputs(self.spec)}
        return f"--loadEngine={self.engine}", *([f"--shapes={told(opened)}"] if opened else [])


def _quoted(name: str) -> str:
    return f"'{name}'" if set(name) & set(":,") else name
