"""How trtexec is told to measure an engine, to look into it, and to run it on known pictures."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from attrs import frozen

from polyyolo.engines.profiles import dynamic_inputs
from polyyolo.records import ModelSpec

QUIET_DEFAULTS = (11, 0)
"""The first release that leaves the copies out, spins and uses a CUDA graph unless told otherwise."""
VERBOSITY = "--profilingVerbosity=detailed"
"""For the build too: without it an engine forgets what its layers are."""

Shapes = Mapping[str, Sequence[int]]


@frozen
class Measuring:
    """What is measured, of which release.

    Attributes:
        spec: the ONNX that the engine was built from.
        engine: the plan file.
        release: major and minor of trtexec.
    """

    spec: ModelSpec
    engine: PurePosixPath
    release: tuple[int, int]

    def speed(self, shapes: Shapes, times: str) -> tuple[str, ...]:
        """Measure the GPU's work alone: no copies, no waiting for the CPU. ``times`` gets each query's times."""
        steady = ("--noDataTransfers", "--useSpinWait", "--useCudaGraph")
        return (*self._engine(shapes), *(() if self.release >= QUIET_DEFAULTS else steady), f"--exportTimes={times}")

    def layers(self, shapes: Shapes, layers: str, profile: str) -> tuple[str, ...]:
        """Export what the layers are and what each takes; the times of such a run count for nothing else."""
        exports = (f"--exportLayerInfo={layers}", f"--exportProfile={profile}")
        return (*self._engine(shapes), VERBOSITY, "--dumpProfile", *exports)

    def outputs(self, shapes: Shapes, source: str, exported: str) -> tuple[str, ...]:
        """Run the engine once on a file of raw values for the image input, and export what comes out."""
        copies = ("--includeDataTransfers",) if self.release >= QUIET_DEFAULTS else ()
        once = ("--iterations=1", "--duration=0", "--warmUp=0")
        return (
            *self._engine(shapes),
            *copies,
            *once,
            f"--loadInputs='{self.spec.image}':{source}",
            f"--exportOutput={exported}",
        )

    def _engine(self, shapes: Shapes) -> tuple[str, ...]:
        """Name the engine, and shapes of inputs with open axes only: trtexec stops when it is told others."""
        told = [
            f"'{tensor.name}':{'x'.join(str(size) for size in shapes[tensor.name])}"
            for tensor in dynamic_inputs(self.spec)
        ]
        return f"--loadEngine={self.engine}", *([f"--shapes={','.join(told)}"] if told else [])
