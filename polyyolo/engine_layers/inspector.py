"""Ask an engine itself for its layers: TensorRT's inspector, through Polygraphy."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyyolo.engine_layers.exported import Exported
from polyyolo.engine_layers.reading import layers_in
from polyyolo.engines.gpu import first_gpu
from polyyolo.errors import InputError, ToolchainError

if TYPE_CHECKING:
    from polyyolo.engines.gpu import Gpu

ELSEWHERE = (
    "where it runs: trtexec --loadEngine={path} --exportLayerInfo=layers.json --skipInference; then polyyolo inspect "
    "layers layers.json"
)


def inspect_engine(path: Path) -> tuple[Exported, ...]:
    """Load an engine and read its layers.

    Raises:
        InputError: the file cannot be read, or it was built without detailed profiling verbosity.
        ToolchainError: no GPU or no TensorRT here, or not the ones that the engine was built for.
    """
    gpu = first_gpu()
    fix = ELSEWHERE.format(path=path)
    if gpu.missing:
        raise ToolchainError(f"the layers of an engine can be read where it runs only: {gpu.missing}", fix=fix)
    try:
        import tensorrt
        from polygraphy.backend.common import BytesFromPath
        from polygraphy.backend.trt import EngineFromBytes
        from polygraphy.exception import PolygraphyException
    except ImportError as error:
        raise ToolchainError(
            f"the layers of an engine are read with {error.name}, which is not installed", fix=fix
        ) from error
    try:
        engine = EngineFromBytes(BytesFromPath(str(path)))()
        told = engine.create_engine_inspector().get_engine_information(tensorrt.LayerInformationFormat.JSON)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix="name an engine") from error
    except (PolygraphyException, AttributeError) as error:
        raise _refused(path, gpu, tensorrt) from error
    return layers_in(json.loads(told, strict=False), str(path))


def _refused(path: Path, gpu: "Gpu", tensorrt: Any) -> ToolchainError:  # noqa: ANN401 - a module without types
    return ToolchainError(
        f"TensorRT {tensorrt.__version__} on {gpu.name} does not load {path}",
        fix="engines run with the TensorRT and on the kind of GPU that built them: build it again here",
    )
