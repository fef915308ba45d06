"""How trtexec is told to measure an engine, to look into it, and to run it on known pictures."""

from pathlib import PurePosixPath

from attrs import frozen

from polyyolo.engines.profiles import dynamic_inputs
from polyyolo.engines.trtexec import VERBOSITY
from polyyolo.engines.trtexec_inference import load_flags, once_flags
from polyyolo.engines.trtexec_shapes import Shapes
from polyyolo.engines.trtexec_timing import Dialect, Timing, timing_flags
from polyyolo.records import ModelSpec

SPEED = Timing()
LAYERS = Timing(warm_up_ms=200, duration_s=1.0, graph=False)
"""A profile needs kernels that are launched one by one."""


@frozen
class Measuring:
    """What is measured, and by which release.

    Attributes:
        spec: the ONNX that the engine was built from.
        engine: the plan file.
        dialect: of trtexec.
    """

    spec: ModelSpec
    engine: PurePosixPath
    dialect: Dialect

    def speed(self, shapes: Shapes, times: str) -> tuple[str, ...]:
        """Measure the GPU's work alone; ``times`` gets each query's times."""
        return (*self._engine(shapes), *timing_flags(self.dialect, SPEED), f"--exportTimes={times}")

    def layers(self, shapes: Shapes, layers: str, profile: str) -> tuple[str, ...]:
        """Export what the layers are and what each takes; the times of such a run count for nothing else."""
        exports = (f"{VERBOSITY}=detailed", f"--exportLayerInfo={layers}", f"--exportProfile={profile}")
        return (*self._engine(shapes), *timing_flags(self.dialect, LAYERS), *exports)

    def outputs(self, shapes: Shapes, source: str, exported: str) -> tuple[str, ...]:
        """Run the engine once on a file of raw values for the image input, and export what comes out."""
        values = {self.spec.image: PurePosixPath(source)}
        return (*self._engine(shapes), *once_flags(self.dialect, values, PurePosixPath(exported)))

    def _engine(self, shapes: Shapes) -> tuple[str, ...]:
        """Name the engine, and shapes of inputs with open axes only: trtexec stops when it is told others."""
        return load_flags(self.engine, {tensor.name: shapes[tensor.name] for tensor in dynamic_inputs(self.spec)})
