"""Run the engine that was built, where this machine has its GPU: how fast it is, what it finds, which layers it has."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from attrs import evolve, frozen

from polyyolo import fidelity, progress
from polyyolo.benchmarking import bench as benching
from polyyolo.benchmarking.meters import NoMeterError
from polyyolo.decisions import Decisions
from polyyolo.engine_layers.findings import findings
from polyyolo.engine_layers.inspector import inspect_engine
from polyyolo.engines.bindings import bindings_for, foreign
from polyyolo.engines.engine_file import read_engine_file
from polyyolo.engines.gpu import first_gpu
from polyyolo.engines.refusals import rtx_supports
from polyyolo.errors import PolyYoloError, ToolchainError, ToolFailed
from polyyolo.records import (
    Absent,
    Benchmark,
    Engine,
    EngineLayer,
    Fidelity,
    Measured,
    ModelSpec,
    Request,
    Toolchain,
    ToolchainKind,
)
from polyyolo.records.measured import DOES_NOT_RUN
from polyyolo.workspace import Workspace

LOG = "measure.log"
Found = TypeVar("Found")


@frozen
class Layers:
    """What the step keeps that reads an engine's layers."""

    layers: tuple[EngineLayer, ...]


@frozen
class _Made:
    """An engine as it is known when the run is done, and where it lies until then."""

    engine: Engine
    path: Path

    def published(self, text: str) -> str:
        """Name the engine in a text as it will be called."""
        return text.replace(str(self.path), str(self.engine.path))


def measure(space: Workspace, decisions: Decisions, predicted: ModelSpec, engine: Engine) -> Measured:
    """Run an engine that was just built; what cannot be tried here, and what fails, is told in the result.

    Args:
        space: where the engine lies.
        decisions: with the pictures to run it on.
        predicted: the ONNX that ONNX Runtime predicts its outputs from.
        engine: with the path that it will have when the run is done.
    """
    why = _hindrance(decisions.request, engine.plan.toolchain)
    if why:
        return Measured(Absent(why), Absent(why))
    made = _Made(engine, space.path(engine.path.name))
    return Measured(
        benchmark=_speed(space, made),
        fidelity=_fidelity(space, decisions, predicted, made),
        layers=_layers(space, made),
    )


def _hindrance(request: Request, toolchain: Toolchain) -> str:
    """Say why an engine cannot be run here; empty where it can."""
    gpu, capability = toolchain.gpu, toolchain.compute_capability
    if not request.measure:
        return "left out with --no-measure"
    if not gpu:
        return f"the engine was not run on a GPU: {first_gpu().missing or 'none was found when it was built'}"
    if toolchain.kind is ToolchainKind.RTX and capability and not rtx_supports(capability):
        return f"TensorRT for RTX does not run on {gpu}, of compute capability {capability}"
    asked = request.compute_capabilities
    if asked and capability not in asked:
        return f"it was built for compute capability {', '.join(asked)}, and {gpu} has {capability}"
    return ""


def _speed(space: Workspace, made: _Made) -> Benchmark | Absent:
    """Measure at what the first profile is best at, as ``polyyolo bench`` does."""
    engine = made.engine
    asked = benching.BenchRequest(profiles=engine.plan.profile.optimizations)

    def make() -> Benchmark:
        (found,) = benching.bench(made.path, asked, space.path(LOG))
        return evolve(found, engine=engine.path, command=tuple(map(made.published, found.command)))

    inputs = {"engine": engine.sha256, "asked": asked, "toolchain": engine.plan.toolchain}
    return _tried(lambda: space.step("measure", inputs, [LOG], make, Benchmark), made)


def _fidelity(space: Workspace, decisions: Decisions, predicted: ModelSpec, made: _Made) -> Fidelity | Absent:
    """Compare the engine with what ONNX Runtime makes of the same ONNX, on the pictures of the comparison with FP32."""
    if not decisions.compared_on:
        return Absent("there are no pictures to run it on")
    why = _unloadable(made.path)
    if why:
        return Absent(made.published(why))

    engine = made.engine
    candidate = evolve(predicted, path=made.path, sha256=engine.sha256)
    toolchain = engine.plan.toolchain
    return _tried(
        lambda: fidelity.compare(space, "run the engine", decisions, predicted, candidate, toolchain=toolchain), made
    )


def _unloadable(path: Path) -> str:
    """Say why Python cannot load the engine, whatever the engine is like; empty where it can."""
    engine = read_engine_file(path)
    try:
        bindings_for(engine)
    except ToolchainError as error:
        return error.message
    trouble = foreign(engine)
    return trouble.message if trouble else ""


def _layers(space: Workspace, made: _Made) -> tuple[EngineLayer, ...]:
    """Read the layers; what keeps them from being read costs nothing else."""
    inputs = {"engine": made.engine.sha256, "toolchain": made.engine.plan.toolchain}
    try:
        return space.step(
            "engine layers", inputs, [], lambda: Layers(findings(inspect_engine(made.path)).layers), Layers
        ).layers
    except PolyYoloError as error:
        progress.warn(f"the engine's layers cannot be read: {made.published(error.message)}", made.published(error.fix))
        return ()


def _tried(work: Callable[[], Found], made: _Made) -> Found | Absent:
    """Turn what keeps an engine from being measured into a sentence."""
    try:
        return work()
    except NoMeterError as error:
        return Absent(made.published(error.message))
    except PolyYoloError as error:
        said = error.tail.splitlines()[-1:] if isinstance(error, ToolFailed) else []
        return Absent(made.published(": ".join([DOES_NOT_RUN, error.message, *said])), failed=True)
