"""Open a model for ONNX-GraphSurgeon, and close it again with everything that the graph does not hold."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs


def opened(model: onnx.ModelProto) -> gs.Graph:
    """Import a copy: GraphSurgeon would otherwise share tensors with ``model`` and rename them there."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return gs.import_onnx(copy)


def closed(graph: gs.Graph, like: onnx.ModelProto) -> onnx.ModelProto:
    """Export ``graph`` without what leads nowhere, with the metadata and version fields of ``like``."""
    graph.cleanup(remove_unused_graph_inputs=False).toposort()
    model: onnx.ModelProto = gs.export_onnx(graph)
    model.metadata_props.extend(like.metadata_props)
    model.domain, model.model_version, model.doc_string = like.domain, like.model_version, like.doc_string
    return model


def constant_of(tensor: gs.Tensor) -> gs.Constant | None:
    """Give the constant behind ``tensor``, be it an initializer or the output of a Constant node; else None."""
    if isinstance(tensor, gs.Constant):
        return tensor
    node = tensor.inputs[0] if tensor.inputs else None
    value = node.attrs.get("value") if node is not None and node.op == "Constant" else None
    return value if isinstance(value, gs.Constant) else None


def values_of(tensor: gs.Tensor) -> npt.NDArray[Any]:
    """Give the values of a tensor that ``constant_of`` found to be constant."""
    held = constant_of(tensor)
    assert held is not None  # noqa: S101 - whoever asks has looked
    return np.asarray(held.values)


def is_a(node: gs.Node, op: str) -> bool:
    """Whether a node is an operator of ONNX itself, and not of the same name from elsewhere."""
    return bool(node.op == op and node.domain in (None, "", "ai.onnx"))


def joins(node: gs.Node, axis: int, dims: int) -> bool:
    """Whether a node is a Concat along an axis, counted from the front, of tensors of so many."""
    return is_a(node, "Concat") and node.attrs.get("axis") in (axis, axis - dims)


def read_instead(readers: Iterable[gs.Node], tensor: gs.Tensor, other: gs.Tensor) -> None:
    """Let nodes read another tensor wherever they read ``tensor``."""
    for node in list(readers):
        for index in [place for place, source in enumerate(node.inputs) if source is tensor]:
            node.inputs[index] = other


def names_of(graph: gs.Graph) -> set[str]:
    """Give the names of all tensors and nodes, those of subgraphs too: none of them may be there twice."""
    graphs = [graph, *graph.subgraphs(recursive=True)]
    return {name for each in graphs for name in (*each.tensors(), *(node.name for node in each.nodes))}


def free_name(name: str, taken: set[str]) -> str:
    """Give ``name``, or one like it that is not among ``taken``, and add it there."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
