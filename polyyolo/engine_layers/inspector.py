"""Ask an engine itself for its layers, through TensorRT's inspector: TensorRT and a GPU have to load it for that."""

import json
from pathlib import Path
from typing import Any

from polyyolo.engine_layers.exported import Exported
from polyyolo.engine_layers.reading import layers_in
from polyyolo.engines.bindings import bindings_for, foreign, load
from polyyolo.engines.engine_file import read_engine_file
from polyyolo.errors import ToolchainError

ELSEWHERE = (
    "or, where it runs: trtexec --loadEngine={path} --exportLayerInfo=layers.json --skipInference, "
    "and then polyyolo inspect layers layers.json"
)


def inspect_engine(path: Path) -> tuple[Exported, ...]:
    """Load an engine and read its layers.

    Raises:
        InputError: the file is no engine, is damaged, or was built without detailed profiling verbosity.
        ToolchainError: no GPU or no TensorRT here, or not the ones that the engine was built for.
    """
    engine = read_engine_file(path)
    try:
        trouble = foreign(engine)
        if trouble:
            raise trouble
        return layers_of(load(engine), bindings_for(engine), path)
    except ToolchainError as error:
        raise ToolchainError(error.message, fix=f"{error.fix}; {ELSEWHERE.format(path=path)}") from error


def layers_of(loaded: Any, trt: Any, path: Path) -> tuple[Exported, ...]:  # noqa: ANN401 - TensorRT's bindings have no types
    """Ask an ICudaEngine of TensorRT 8.5 or later, or of TensorRT for RTX.

    Raises:
        InputError: it was built without detailed profiling verbosity.
    """
    told = loaded.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    return layers_in(json.loads(told, strict=False), str(path))
