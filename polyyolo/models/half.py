"""What of an ONNX is FP16: strongly typed builders take it at its word."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import onnx


@frozen
class Half:
    """Where FP16 occurs in a graph.

    Attributes:
        anywhere: some tensor is FP16.
        scales: a scale of QuantizeLinear or DequantizeLinear is.
    """

    anywhere: bool = False
    scales: bool = False


def read_half(path: Path) -> Half:
    """Look through an ONNX for FP16; weights in other files are not opened.

    Constants that are only kept in FP16, and cast to FP32 before anything is computed of them, are none.
    """
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    names = set(_half_constants(graph)) - _only_cast_to_single(graph)
    cast = any(_casts_to(node, onnx.TensorProto.FLOAT16) for node in graph.node)
    scales = any(
        node.input[1] in names for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")
    )
    return Half(anywhere=cast or bool(names), scales=scales)


def _casts_to(node: "onnx.NodeProto", kind: int) -> bool:
    return node.op_type == "Cast" and any(each.name == "to" and each.i == kind for each in node.attribute)


def _only_cast_to_single(graph: "onnx.GraphProto") -> set[str]:
    """Name the tensors that nothing reads but Casts to FP32; outputs are read by whoever runs the model."""
    import onnx

    from polyyolo.models.reading import graphs_of

    cast: set[str] = set()
    others = {output.name for output in graph.output}
    for node in (node for each in graphs_of(graph) for node in each.node):
        (cast if _casts_to(node, onnx.TensorProto.FLOAT) else others).update(node.input)
    return cast - others


def _half_constants(graph: "onnx.GraphProto") -> Iterator[str]:
    import onnx

    for weights in graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT16:
            yield weights.name
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].t.data_type == onnx.TensorProto.FLOAT16:
            yield node.output[0]
