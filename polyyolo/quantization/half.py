"""FP16 for what is not INT8, as a strongly typed build needs it: types in the graph, FP32 inputs, outputs and decode.

Boxes are pixels up to 1280 and more, where FP16 counts in whole pixels: from the head's output convolutions on, all
stays FP32. That part is less than a hundredth of the work.
"""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import field, frozen

from polyyolo.errors import ModelError
from polyyolo.models.rounding import HALF_SCALES as OPSET
from polyyolo.passes.surgery import free_name, names_of, read_instead
from polyyolo.quantization.before_activation import begin_behind
from polyyolo.quantization.gates import write_by_sigmoid
from polyyolo.quantization.graph import exported, imported
from polyyolo.quantization.grid import SMALLEST_HALF
from polyyolo.quantization.opset import raised
from polyyolo.quantization.topology import QUANTIZING, behind_head, from_image, head_convs, identity

ONNX_TYPES = {np.float16: onnx.TensorProto.FLOAT16, np.float32: onnx.TensorProto.FLOAT}
# Inputs that ONNX keeps in FP32 whatever the type of the data.
_ALWAYS_FLOAT = {"Resize": (1, 2), "Upsample": (1,)}


def to_half(model: onnx.ModelProto, image: str, *, half_io: bool = False) -> onnx.ModelProto:
    """Give a copy of the model that computes in FP16 from the image to the head's output convolutions.

    Args:
        model: an FP32 model, with or without Q/DQ nodes.
        image: name of its image input.
        half_io: let the image input, and outputs that come straight from the FP16 part, be FP16.

    Raises:
        ModelError: the model cannot be raised to operator set 19, or a weight does not fit into FP16.
    """
    graph = imported(onnx.shape_inference.infer_shapes(raised(model, OPSET, "FP16 scales")))
    write_by_sigmoid(graph)
    begin_behind(graph)
    graph.cleanup().toposort()
    _enlarge_scales(graph)
    inner = half_nodes(graph, image)
    produced = {id(output): output for node in inner for output in node.outputs if output.dtype == np.float32}
    twins = _Twins(graph, names_of(graph))
    for node in inner:
        for index, tensor in enumerate(node.inputs):
            if _lowers(node, index, tensor, produced):
                node.inputs[index] = twins.half(tensor)
        if node.op == "Cast" and node.attrs["to"] == onnx.TensorProto.FLOAT:
            node.attrs["to"] = onnx.TensorProto.FLOAT16
    _raise_borders(twins, inner, produced, half_io=half_io)
    for output in produced.values():
        output.dtype = np.float16
    if half_io:
        _take_half(graph, image)
    return exported(graph, like=model, ir_version=9)


@frozen(eq=False)
class _Twins:
    """Tensors of the other type, put into a graph.

    Attributes:
        graph: changed.
        taken: names that are in use there.
        made: FP16 twins, by the name of the FP32 tensor.
    """

    graph: gs.Graph
    taken: set[str]
    made: dict[str, gs.Tensor] = field(factory=dict)

    def half(self, tensor: gs.Tensor) -> gs.Tensor:
        """Give the FP16 twin of an FP32 tensor: a constant of its own, or what a Cast makes; the same each time."""
        if tensor.name not in self.made:
            self.made[tensor.name] = (
                self._constant(tensor) if isinstance(tensor, gs.Constant) else self.cast(tensor, np.float16)
            )
        return self.made[tensor.name]

    def cast(self, tensor: gs.Tensor, dtype: type[np.floating]) -> gs.Variable:
        """Append a Cast, and give what it makes."""
        made = gs.Variable(self.name(tensor.name, dtype), dtype, tensor.shape)
        self.feed(made, tensor, dtype)
        return made

    def feed(self, made: gs.Variable, tensor: gs.Tensor, dtype: type[np.floating]) -> None:
        """Append a Cast of a tensor that makes another."""
        name = self.name(f"{tensor.name}_to", dtype)
        self.graph.nodes.append(gs.Node("Cast", name, {"to": ONNX_TYPES[dtype]}, [tensor], [made]))

    def name(self, name: str, dtype: type[np.floating]) -> str:
        """Give a name for what is of another type, which nothing has."""
        return free_name(f"{name}_{'half' if dtype is np.float16 else 'single'}", self.taken)

    def _constant(self, tensor: gs.Constant) -> gs.Constant:
        values = tensor.values
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))  # FP16 has infinity
        if largest > float(np.finfo(np.float16).max):
            raise ModelError(
                f"the constant {tensor.name!r} holds {largest:g}, more than FP16's 65504",
                fix="build with --precision fp32, or keep that layer out of the model",
            )
        return gs.Constant(self.name(tensor.name, np.float16), values.astype(np.float16))


def _enlarge_scales(graph: gs.Graph) -> None:
    """Let no constant scale be smaller than FP16 holds in full."""
    for node in graph.nodes:
        scale = node.inputs[1] if node.op in QUANTIZING else None
        if isinstance(scale, gs.Constant) and scale.dtype == np.float32 and (scale.values < SMALLEST_HALF).any():
            scale.values = np.asarray(np.maximum(scale.values, np.float32(SMALLEST_HALF)))


def half_nodes(graph: gs.Graph, image: str) -> list[gs.Node]:
    """Find the nodes to lower: from the image to the head, and the Q/DQ pairs of their weights.

    Nodes that hold graphs, as If does, stay in FP32, and so does all in there.
    """
    decode = behind_head(graph, head_convs(graph))
    names = from_image(graph, image) - decode
    for node in reversed(graph.nodes):
        if node.op in QUANTIZING and any(identity(reader) in names for reader in node.outputs[0].outputs):
            names |= {identity(node)}
    return [node for node in graph.nodes if identity(node) in names and not list(node.subgraphs())]


def _lowers(node: gs.Node, index: int, tensor: gs.Tensor, produced: Mapping[int, gs.Variable]) -> bool:
    return tensor.dtype == np.float32 and id(tensor) not in produced and index not in _ALWAYS_FLOAT.get(node.op, ())


def _raise_borders(twins: _Twins, inner: list[gs.Node], produced: Mapping[int, gs.Variable], *, half_io: bool) -> None:
    """Cast back to FP32 where the rest of the graph, or whoever runs it, reads what the FP16 part made."""
    members = {id(node) for node in inner}
    outputs = {id(output) for output in twins.graph.outputs}
    for tensor in produced.values():
        readers = [node for node in tensor.outputs if id(node) not in members and node.op != "Cast"]
        if id(tensor) in outputs and not half_io:
            _split_output(twins, tensor)
        if not readers:
            continue
        read_instead(readers, tensor, twins.cast(tensor, np.float32))


def _split_output(twins: _Twins, tensor: gs.Variable) -> None:
    """Let a graph output keep its name and FP32, fed by a Cast from an FP16 tensor."""
    single = gs.Variable(tensor.name, np.float32, tensor.shape)
    twins.graph.outputs = [single if output is tensor else output for output in twins.graph.outputs]
    twins.feed(single, tensor, np.float32)
    tensor.name = twins.name(tensor.name, np.float16)


def _take_half(graph: gs.Graph, image: str) -> None:
    """Make an FP32 image input FP16 and drop the Cast behind it; one of bytes is narrower already."""
    tensor = next(entry for entry in graph.inputs if entry.name == image)
    if tensor.dtype != np.float32:
        return
    tensor.dtype = np.float16
    for node in [reader for reader in tensor.outputs if reader.op == "Cast"]:
        for reader in list(node.outputs[0].outputs):
            reader.inputs[reader.inputs.index(node.outputs[0])] = tensor
        node.outputs.clear()
