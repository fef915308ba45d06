"""One way to make an INT8 model, timed: int8_accuracy.py runs each in a process of its own.

Run as ``python benchmarks/makers.py polyyolo|onnxruntime MODEL IMAGES COUNT SEED OUTPUT OPTION...``. The options are
method and what to keep in float for polyyolo, the name of a setting for ONNX Runtime.
"""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from calibrators import Reader, chosen_from
from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static
from stopwatch import Stopwatch

from polyyolo import stages
from polyyolo.decisions import decide
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.graph import imported
from polyyolo.quantization.topology import behind_head, head_convs, identity
from polyyolo.quantizing import quantize_model
from polyyolo.records import Request
from polyyolo.workspace import Workspace

AS_TENSORRT: Mapping[str, Any] = {
    "op_types_to_quantize": ["Conv"],
    "per_channel": True,
    "activation_type": QuantType.QInt8,
    "extra_options": {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "OpTypesToExcludeOutputQuantization": ["Conv"],
    },
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "tensorrt": AS_TENSORRT,
    "tensorrt-head-out": AS_TENSORRT,
    "tensorrt-head-out-percentile": {**AS_TENSORRT, "calibrate_method": CalibrationMethod.Percentile},
}


def polyyolo(model: Path, images: Path, count: int, seed: int, output: Path, *options: str) -> None:
    """Do what ``polyyolo engine`` does until there is an INT8 model: every decision and check is its own."""
    method, keep = options
    with TemporaryDirectory() as folder:
        request = Request(
            str(model),
            images,
            toolchain="none",
            count=count,
            seed=seed,
            method=method,
            keep_float=(keep,),
            output=Path(folder),
        )
        with Stopwatch() as watch:
            decisions = decide(request)
            with Workspace.open(decisions.folder) as space:
                prepared = stages.prepare(space, decisions)
                made = quantize_model(space, decisions, prepared)
        shutil.copy(made.spec.path, output)
    watch.tell(method=made.table.method)


def onnxruntime(model: Path, images: Path, count: int, seed: int, output: Path, *options: str) -> None:
    """Quantize with ONNX Runtime's own tool."""
    (setting,) = options
    spec = read_spec(model)
    spared = head_of(model) if "head-out" in setting else []
    with TemporaryDirectory() as folder, Stopwatch() as watch:
        reader = Reader(spec, chosen_from(spec, images, count, seed))
        copied = shutil.copy(model, folder)  # it writes beside the model that it is given
        quantize_static(copied, output, reader, nodes_to_exclude=spared, **SETTINGS[setting])
    watch.tell()


def head_of(model: Path) -> list[str]:
    """Name the head's output convolutions and everything behind them."""
    graph = imported(load(model))
    heads = head_convs(graph)
    spared = heads | behind_head(graph, heads)
    return [node.name for node in graph.nodes if identity(node) in spared]


if __name__ == "__main__":
    maker, model_file, folder_of_images, number, choice, target, *rest = sys.argv[1:]
    {"polyyolo": polyyolo, "onnxruntime": onnxruntime}[maker](
        Path(model_file), Path(folder_of_images), int(number), int(choice), Path(target), *rest
    )
