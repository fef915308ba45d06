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
    """Look through an ONNX for FP16; weights in other files are not opened."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    names = set(_half_constants(graph))
    cast = any(
        attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT16
        for node in graph.node
        if node.op_type == "Cast"
        for attribute in node.attribute
    )
    scales = any(
        node.input[1] in names for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")
    )
    return Half(anywhere=cast or bool(names), scales=scales)


def _half_constants(graph: "onnx.GraphProto") -> Iterator[str]:
    import onnx

    for weights in graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT16:
            yield weights.name
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].t.data_type == onnx.TensorProto.FLOAT16:
            yield node.output[0]
