"""ONNX files from disk: read whole, checked, hashed together with the weights that lie in other files."""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor, uses_external_data

from polyyolo.errors import ModelError
from polyyolo.files import sha256_of
from polyyolo.models.strangers import refuse_engine, refuse_text

OLDEST_OPSET = 11
FREE_CONSTANTS_IR = 4
"""The first format version in which constants need not be listed among the inputs."""
SMALL_BYTES = 1024
"""What onnx leaves inside a model, unless told otherwise, when it writes weights into another file."""
PLAIN_CONSTANTS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}
"""Attributes of Constant that hold numbers and no tensor, and the type that these have."""
EXPORT_AGAIN = "export the model again, or copy the file again and compare its size with the original's"


def load(path: Path) -> onnx.ModelProto:
    """Read a model with all of its weights, and have the ONNX checker look at it.

    Plain numbers of Constant nodes become tensors: GraphSurgeon and onnxslim would take them for float64. Constants are
    not listed as inputs, which old exporters had to do: GraphSurgeon takes them off that list, too. A model's own
    functions are written out where they are called: ONNX's converter loses them, and TensorRT knows none.

    Raises:
        ModelError: no such file, not an ONNX, cut off, damaged, weights missing, or an opset below 11.
    """
    model = parse(path)
    opset = opset_of(model)
    if opset < OLDEST_OPSET:
        raise ModelError(
            f"{path} uses ONNX opset {opset}, and polyyolo needs {OLDEST_OPSET} or newer",
            fix="export again with opset 13 to 17 (for YOLOv5 and Ultralytics: opset=17)",
        )
    if opset > onnx.defs.onnx_opset_version():
        raise ModelError(
            f"{path} uses ONNX opset {opset}; the onnx that is installed knows {onnx.defs.onnx_opset_version()}",
            fix="export again with opset 13 to 17 (for YOLOv5 and Ultralytics: opset=17), or upgrade onnx",
        )
    for tensor in external_tensors(model):
        _fetch(tensor, path)
    _put_in_order(model.graph)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is no valid ONNX: {_first_line(error)}", fix=EXPORT_AGAIN) from error
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    _make_tensors(model)
    _unlist_constants(model)
    return model


def _put_in_order(graph: onnx.GraphProto) -> None:
    """Let each node come behind those that it reads: ONNX Runtime's converter to FP16 leaves Casts at the end.

    A graph that cannot be put in order is left to the checker, as one that is in order.
    """
    makers = {output: place for place, node in enumerate(graph.node) for output in node.output if output}
    awaited = [{makers[name] for name in _read_by(node) & makers.keys()} for node in graph.node]
    if all(max(places, default=-1) < place for place, places in enumerate(awaited)):
        return
    readers: defaultdict[int, list[int]] = defaultdict(list)
    for place, places in enumerate(awaited):
        for maker in places:
            readers[maker].append(place)
    left = [len(places) for places in awaited]
    ready = [place for place, count in enumerate(left) if not count]
    ordered: list[onnx.NodeProto] = []
    while ready:
        place = heapq.heappop(ready)
        ordered.append(graph.node[place])
        for reader in readers[place]:
            left[reader] -= 1
            if not left[reader]:
                heapq.heappush(ready, reader)
    if len(ordered) == len(graph.node):
        copy = onnx.GraphProto(node=ordered)
        del graph.node[:]
        graph.node.extend(copy.node)


def _read_by(node: onnx.NodeProto) -> set[str]:
    """Name what a node reads, and what the graphs in it do."""
    inner = [
        graph for attribute in node.attribute for each in (attribute.g, *attribute.graphs) for graph in graphs_of(each)
    ]
    return {*node.input, *(name for graph in inner for each in graph.node for name in each.input)}


def parse(path: Path) -> onnx.ModelProto:
    """Read a model of any operator set as the file has it, without weights that lie in others; nothing is checked.

    Raises:
        ModelError: no such file, or not an ONNX.
    """
    if not path.is_file():
        what = "is a folder, not a model" if path.is_dir() else "does not exist"
        raise ModelError(f"{path} {what}", fix="name an .onnx file")
    try:
        refuse_engine(path)
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except PermissionError as error:
        raise ModelError(f"{path} may not be read: {error.strerror}", fix="give yourself read permission") from error
    except ModelError:
        raise
    except Exception as error:  # protobuf's own DecodeError has no base but Exception
        refuse_text(path)
        size = path.stat().st_size
        raise ModelError(
            f"{path} ({size:,} bytes) is not an ONNX, or was cut off: {_first_line(error)}", fix=EXPORT_AGAIN
        ) from error
    if not model.graph.node or not model.opset_import:
        raise ModelError(
            f"{path} ({path.stat().st_size:,} bytes) is not an ONNX: there is no graph in it", fix=EXPORT_AGAIN
        )
    return model


def files_of(path: Path) -> tuple[Path, ...]:
    """Name the file and those that its weights lie in, in the order of their names.

    Raises:
        ModelError: as ``parse``.
    """
    locations = sorted({ExternalDataInfo(tensor).location for tensor in external_tensors(parse(path))})
    return path, *(path.parent / location for location in locations)


def sha256_of_model(path: Path) -> str:
    """Hash the file; where weights lie in other files, hash the hashes of all of them, in the order of their names.

    Raises:
        ModelError: as ``load``.
    """
    parts = files_of(path)
    if len(parts) == 1:
        return sha256_of(path)
    return hashlib.sha256("".join(sha256_of(part) for part in parts).encode()).hexdigest()


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the default operator set; 0 where the model names none."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield ``graph`` and every graph inside its If, Loop and Scan nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from graphs_of(inner)


def constants_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Give the weights of a graph, and what its Constant nodes hold, by name."""
    held = {
        node.output[0]: each.t
        for node in graph.node
        if node.op_type == "Constant"
        for each in node.attribute
        if each.name == "value"
    }
    return {**{tensor.name: tensor for tensor in graph.initializer}, **held}


def external_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield the tensors whose values lie in another file."""
    for graph in graphs_of(model.graph):
        constants = (attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t"))
        for tensor in (*graph.initializer, *constants):
            if uses_external_data(tensor):
                yield tensor


def small_outside(path: Path) -> bool:
    """Whether tensors lie in another file that are so small that they may be shapes: exporters leave those inside.

    Raises:
        ModelError: the file is no ONNX.
    """
    return any((_bytes_of(tensor) or 0) < SMALL_BYTES for tensor in external_tensors(parse(path)))


def _make_tensors(model: onnx.ModelProto) -> None:
    """Write the plain numbers of Constant nodes as the tensors that ONNX says they are."""
    nodes = (node for graph in graphs_of(model.graph) for node in graph.node if node.op_type == "Constant")
    for node in nodes:
        for plain in node.attribute:
            if plain.name in PLAIN_CONSTANTS:
                values = np.array(onnx.helper.get_attribute_value(plain), PLAIN_CONSTANTS[plain.name])
                tensor = onnx.numpy_helper.from_array(values, node.output[0])
                plain.CopyFrom(onnx.helper.make_attribute("value", tensor))


def _unlist_constants(model: onnx.ModelProto) -> None:
    """Take constants off the list of inputs, and raise the format version to one that allows this."""
    constants = {tensor.name for tensor in model.graph.initializer}
    fed = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(fed)
    model.ir_version = max(model.ir_version, FREE_CONSTANTS_IR)


def _fetch(tensor: onnx.TensorProto, path: Path) -> None:
    """Read a tensor's values from the file beside the model that holds them.

    Raises:
        ModelError: that file is missing, too short, or outside the model's folder.
    """
    try:
        location = ExternalDataInfo(tensor).location
        load_external_data_for_tensor(tensor, str(path.parent))
    except (onnx.checker.ValidationError, OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"the weights of {path} cannot be read: {_first_line(error)}",
            fix=f"put the file {tensor.name!r} needs beside the model under its original name",
        ) from error
    expected = _bytes_of(tensor)
    if expected is not None and len(tensor.raw_data) != expected:
        raise ModelError(
            f"{path.parent / location} is cut off: {tensor.name!r} has {len(tensor.raw_data):,} of {expected:,} bytes",
            fix="copy that file again",
        )
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _bytes_of(tensor: onnx.TensorProto) -> int | None:
    """How many bytes the values take; None for types that are packed below a byte."""
    try:
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        return None
    if kind.name.startswith(("int4", "uint4", "float4", "int2", "uint2")):
        return None
    count = 1
    for dim in tensor.dims:
        count *= dim
    return int(count * kind.itemsize)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
