"""TensorRT's Python bindings, for engines that this process loads itself."""

import importlib
from types import ModuleType
from typing import Any

from polyyolo.engines.cuda import Cuda
from polyyolo.engines.engine_file import EngineFile
from polyyolo.engines.failures import cause_of
from polyyolo.engines.toolchain import RTX_PACKAGES, TENSORRT_PACKAGES
from polyyolo.errors import PolyYoloError, ToolchainError
from polyyolo.installed import version_of
from polyyolo.records import ToolchainKind

MODULES = {ToolchainKind.TENSORRT: "tensorrt", ToolchainKind.RTX: "tensorrt_rtx"}
PACKAGES = {ToolchainKind.TENSORRT: TENSORRT_PACKAGES, ToolchainKind.RTX: RTX_PACKAGES}


def version_here(kind: ToolchainKind) -> str:
    """Read the version of the bindings without importing them; empty where there are none."""
    return version_of(*PACKAGES[kind])


def bindings_for(engine: EngineFile) -> ModuleType:
    """Import the bindings that load engines of this kind.

    Raises:
        ToolchainError: they are not installed, or cannot be imported.
    """
    name = MODULES[engine.kind]
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        extra = "rtx" if engine.kind is ToolchainKind.RTX else "tensorrt"
        raise ToolchainError(
            f"{engine.path} was built with {engine.product}, and Python's {name} cannot be imported: {error}",
            fix=f"pip install 'polyyolo[{extra}]', in the version that built it",
        ) from error


def foreign(engine: EngineFile, here: str | None = None) -> ToolchainError | None:
    """Tell by the bytes alone that an engine is of another version than what is to load it.

    One that was built version compatible is refused too: TensorRT runs the code inside it only when told to.

    Args:
        engine: the file.
        here: version of what loads it; None is that of the bindings.
    """
    here = version_here(engine.kind) if here is None else here
    known = bool(here and engine.version)
    if not known or here.split(".")[:3] == engine.version.split(".")[:3]:
        return None
    return ToolchainError(
        f"{engine.path} was built with {engine.product}, and {here} is here: engines do not move between versions",
        fix=f"rebuild it here: polyyolo build MODEL.onnx; or pip install {PACKAGES[engine.kind][0]}=={engine.version}",
    )


def load(engine: EngineFile) -> Any:  # noqa: ANN401 - TensorRT's bindings have no types
    """Load an engine onto the GPU.

    Returns:
        TensorRT's ICudaEngine; it keeps its runtime alive.

    Raises:
        ToolchainError: there is no GPU, no binding, too little memory, or the engine is for another version or GPU.
        InputError: the engine is damaged.
    """
    trt = bindings_for(engine)
    trouble = foreign(engine, trt.__version__)
    if trouble:
        raise trouble
    Cuda()  # where the GPU's memory is full, TensorRT 8.6.0 ends the process with a segmentation fault
    ears = _ears(trt)
    with engine.path.open("rb") as stream:
        stream.seek(engine.offset)
        plan = stream.read()
    try:
        runtime = trt.Runtime(ears)
        trt.init_libnvinfer_plugins(ears, "") if hasattr(trt, "init_libnvinfer_plugins") else None
        loaded = runtime.deserialize_cuda_engine(plan)
    except (RuntimeError, TypeError, MemoryError) as error:
        ears.heard.append(str(error))
        loaded = None
    if loaded is None:
        raise refusal(engine, ears.heard, trt.__version__)
    return loaded


def refusal(engine: EngineFile, said: list[str], here: str) -> PolyYoloError:
    """Turn what TensorRT, of version ``here``, said about an engine that it would not take into an error."""
    cause = cause_of(said)
    if cause and cause.what:
        return cause.turn(f"{engine.path} {cause.what}", fix=cause.fix)
    tail = said[-1] if said else "nothing"
    return ToolchainError(
        f"TensorRT {here} does not load {engine.path}, which was built with {engine.product}; it said: {tail}",
        fix="rebuild it here: polyyolo build MODEL.onnx",
    )


def _ears(trt: ModuleType) -> Any:  # noqa: ANN401 - a class of TensorRT's, made when it is there
    """Make a logger that keeps warnings and errors instead of printing them."""

    class Ears(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.heard: list[str] = []

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401 - TensorRT's enumeration
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.heard.append(message)

    return Ears()
