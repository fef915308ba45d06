"""What a model or an engine keeps of its accuracy, measured apart from the run that made it."""

from pathlib import Path

from attrs import frozen

from polyyolo.records.benchmark import Benchmark
from polyyolo.records.pictures import Preprocessing
from polyyolo.records.proof import Accuracy, Fidelity, Verdict


@frozen
class Verification:
    """One model or engine, verified.

    Attributes:
        model: the ONNX or the engine.
        is_engine: whether it is an engine, run on the GPU; an ONNX runs in ONNX Runtime on the CPU.
        against: the model that it was compared with; None where there was none.
        pictures: how many were used.
        accuracy: where labels were given.
        fidelity: where it was compared; its ``shown`` lie below the folder of the results.
        benchmarks: of the engine, one for each batch or shape; empty where none were given.
        baseline: of the engine that it should be faster than, likewise.
    """

    model: Path
    sha256: str
    is_engine: bool
    against: Path | None
    preprocessing: Preprocessing
    pictures: int
    accuracy: Accuracy | None
    fidelity: Fidelity | None
    benchmarks: tuple[Benchmark, ...]
    baseline: tuple[Benchmark, ...]
    verdict: Verdict
