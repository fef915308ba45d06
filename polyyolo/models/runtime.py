"""The one place that opens ONNX Runtime: computing what the graph says, on the CPU unless others are asked for."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it writes to the home folder and complains where it cannot

import onnxruntime

from polyyolo.errors import ModelError
from polyyolo.models.nms_plugin import NMS_PLUGIN, written_out
from polyyolo.models.reading import load, small_outside
from polyyolo.models.rounding import rounding

CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
UNKNOWN = re.compile(r"([\w.:]+)\(-?\d+\) is not a registered function/op")


def open_session(
    model: Path | bytes, *, threads: int = 0, optimised: bool = True, callers: int = 1
) -> onnxruntime.InferenceSession:
    """Open a model for inference on the CPU.

    Args:
        model: a file, or a serialized model.
        threads: for each operator; 0 takes all cores.
        optimised: False runs the graph node by node as it is: slower, and quicker to open.
        callers: how many threads run it at the same time; more than one compute themselves, and ``threads`` is ignored.

    Raises:
        ModelError: ONNX Runtime cannot load it.
    """
    options = as_written()
    options.intra_op_num_threads = threads
    if callers > 1:
        options.intra_op_num_threads = max(1, (os.cpu_count() or 1) - callers + 1)
        options.enable_mem_pattern = False  # a pattern is one block for each run: 40 MB more for two of YOLOv5s
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return load_session(model, options)


def as_written() -> onnxruntime.SessionOptions:
    """Make options under which a graph is computed as it says, and nothing is logged."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # What is done with the results needs the cores that idle threads would spin on.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Q/DQ nodes are computed as written. Fused, they become integer kernels that round and saturate differently on
    # different processors, and that ONNX Runtime 1.31 cannot build from FP16 scales.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    # Nor is one pair made of two; ONNX Runtime 1.20 fails to look for such where the types of a pair's scales differ.
    options.add_session_config_entry("session.disable_double_qdq_remover", "1")
    return options


def load_session(
    model: Path | bytes, options: onnxruntime.SessionOptions, providers: Sequence[str] = ("CPUExecutionProvider",)
) -> onnxruntime.InferenceSession:
    """Load a model with options that ``as_written`` made; the caller may have changed what concerns speed.

    Raises:
        ModelError: ONNX Runtime cannot load it.
    """
    try:
        return _load(model, options, providers)
    except Exception as error:  # ONNX Runtime's errors have no common ancestor of their own
        known = written_out(model) if NMS_PLUGIN in str(error) else None
        if known is not None:
            return load_session(known, options, providers)
        named = model if isinstance(model, Path) else "the model"
        plugin = UNKNOWN.search(str(error))
        raise ModelError(
            f"ONNX Runtime cannot load {named}: {CODE.sub('', str(error))}",
            fix=f"export without {plugin[1]}, as without NMS; polyyolo build takes it where it is TensorRT's plugin"
            if plugin
            else "export the model again, or upgrade onnxruntime",
        ) from error


def _load(
    model: Path | bytes, options: onnxruntime.SessionOptions, providers: Sequence[str]
) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        _named(rounding(model)),
        options,
        providers=list(providers),
        # ONNX Runtime 1.31 folds a zero Pad into MaxPool and gets negative values wrong; 1.20 and 1.21 give every Split
        # that they make of Slices of nameless nodes the same name, and refuse the model.
        disabled_optimizers=["Pad_Fusion", "GatherSliceToSplitFusion"],
    )


def _named(model: Path | bytes) -> str | bytes:
    """Name a file as ONNX Runtime takes it.

    One whose name is no UTF-8 is read here, and one whose shapes may lie in another file: to infer from those, ONNX
    Runtime needs them inside.
    """
    if isinstance(model, bytes):
        return model
    try:
        str(model).encode()
        can_be_named = not small_outside(model)
    except UnicodeEncodeError:
        can_be_named = False
    return str(model) if can_be_named else bytes(load(model).SerializeToString())
