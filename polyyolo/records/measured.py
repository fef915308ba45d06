"""What a built engine did on a GPU."""

from attrs import frozen

from polyyolo.records.benchmark import Benchmark
from polyyolo.records.layers import EngineLayer
from polyyolo.records.proof import Fidelity

DOES_NOT_RUN = "the engine does not run"
"""How ``Absent.why`` begins where it was tried."""
OTHER_ROUTE = "not of this engine"
"""How ``Check.got`` begins where it was measured of a model for another route than the engine was built by."""


@frozen
class Absent:
    """Why something was not measured.

    Attributes:
        why: a sentence.
        failed: whether it was tried and the engine did not run; else nothing could be tried.
    """

    why: str
    failed: bool = False


@frozen
class Measured:
    """What was measured of an engine.

    Attributes:
        benchmark: at the shape that it is best at.
        fidelity: the engine's outputs, as the candidate's, against what ONNX Runtime makes of the same ONNX.
        layers: of the engine; empty where they cannot be read.
    """

    benchmark: Benchmark | Absent
    fidelity: Fidelity | Absent
    layers: tuple[EngineLayer, ...] = ()
