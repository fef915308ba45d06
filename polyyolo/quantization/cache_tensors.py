"""Which tensors get a scale in a calibration cache, and which scale.

TensorRT runs a layer in INT8 when what it reads has one, and gives float where what it writes has none. What is behind
the head and attention have none and stay in float. Layers in between that shall stay in float cannot be kept there so:
TensorRT 8.6 fuses a convolution and its SiLU into one layer, finds no implementation of it without scales, and gives
up. They have scales, and the builder is told their names (``float_layers``).
The head's output convolutions read INT8 and write float. Told their names as well, TensorRT 8.6.0 built a YOLOv4-tiny
that was FP16 from end to end.
Where Q/DQ nodes would stand, the scales are those that they would have: both routes then compute the same.
"""

from collections.abc import Mapping, Sequence

import onnx
import onnx_graphsurgeon as gs

from polyyolo.models.spec import load
from polyyolo.quantization.graph import imported
from polyyolo.quantization.placement import CHOSEN, FloatBudget, Placement, place
from polyyolo.quantization.topology import (
    activations,
    behind_head,
    from_image,
    head_convs,
    identity,
    is_weighted,
)
from polyyolo.records import CalibrationTable, ModelSpec

_FLOATS = frozenset({"float16", "float32", "float64", "bfloat16"})
_UNNAMED = "node_of_"


def all_int8(graph: gs.Graph) -> Placement:
    """Place a graph with nothing but its head and decode in float: what a foreign cache is held against."""
    return place(graph, {}, FloatBudget())


def typed_graph(spec: ModelSpec) -> gs.Graph:
    """Read a model's graph with the types of its tensors."""
    return imported(onnx.shape_inference.infer_shapes(load(spec.path)))


def cache_tensors(graph: gs.Graph, placement: Placement) -> tuple[str, ...]:
    """Name the float activations between the image and the head that TensorRT may carry in INT8.

    Args:
        graph: with types (``typed_graph``), sorted topologically.
        placement: of the same graph.

    Returns:
        ONNX names, which TensorRT's parser keeps, in the order of the graph; the image first.
    """
    image = next(tensor.name for tensor in graph.inputs if len(graph.inputs) == 1 or tensor.name in placement.observed)
    heads = head_convs(graph)
    later = heads | behind_head(graph, heads)
    before = from_image(graph, image) - later
    nodes = [node for node in graph.nodes if identity(node) in before]
    outside = _attention(nodes)
    names = [image, *(output.name for node in nodes for output in node.outputs if _is_float(output))]
    return tuple(name for name in names if name in placement.tensors or name not in outside)


def float_layers(graph: gs.Graph, placement: Placement) -> tuple[str, ...]:
    """Name the nodes between the image and the head that the builder must be told to keep in float.

    TensorRT's parser calls layers as the ONNX calls their nodes, and those of nodes without a name after their first
    output (getNodeName in onnx-tensorrt, releases for 8.5 to 10).
    """
    chosen = (node for node in graph.nodes if placement.in_float.get(identity(node)) in CHOSEN)
    return tuple(node.name or f"{_UNNAMED}{identity(node)}" for node in chosen)


def nodes_of(layers: Sequence[str]) -> tuple[str, ...]:
    """Give the nodes that ``float_layers`` named, each by its name or else by its first output."""
    return tuple(layer.removeprefix(_UNNAMED) for layer in layers)


def _attention(nodes: Sequence[gs.Node]) -> set[str]:
    """Collect what attention computes with: products of two activations, and Softmax."""
    inner = [node for node in nodes if node.op == "Softmax" or (node.op == "MatMul" and not is_weighted(node))]
    return {tensor.name for node in inner for tensor in (*activations(node), *node.outputs)}


def _is_float(tensor: gs.Variable) -> bool:
    return tensor.dtype is None or str(tensor.dtype) in _FLOATS


def to_measure(graph: gs.Graph, placement: Placement) -> tuple[str, ...]:
    """Name what a calibration must measure for a cache: of tensors with one scale what Q/DQ needs, and no Sigmoid."""
    bounded = {identity(node) for node in graph.nodes if node.op == "Sigmoid"}
    more = [name for name in cache_tensors(graph, placement) if name not in bounded.union(placement.tensors)]
    return tuple(dict.fromkeys([*placement.measured, *more]))


def ranges(table: CalibrationTable, graph: gs.Graph, placement: Placement) -> dict[str, float]:
    """Give the largest magnitude that each tensor of a cache represents, as far as the table tells.

    Tensors that share a scale in Q/DQ get the widest of those measured for a weighted node, as there. A tensor that
    was not measured and that is read by an activation function or an Add has the range of what comes out there: in the
    engine both are one layer, and TensorRT only asks that it has a scale. A Sigmoid gives 1 at most.

    Returns:
        tensor -> amax, in the order of ``cache_tensors``.
    """
    known = {name: table.amax(name) for name in table.ranges}
    for group in placement.groups:
        measured = [known[name] for name in group if name in placement.observed and name in table.ranges]
        known |= dict.fromkeys(group, max(measured)) if measured else {}
    for early in placement.early:
        before, behind = known.get(early.before), known.get(early.behind)
        if early.lowest is None and before is not None and behind is not None and early.fits(before, behind):
            known[early.before] = behind
    for node in graph.nodes:
        if node.op == "Sigmoid":
            known.setdefault(identity(node), 1.0)
    told = {**_derived(graph, known), **known}
    return {name: told[name] for name in cache_tensors(graph, placement) if name in told}


def _derived(graph: gs.Graph, known: Mapping[str, float]) -> dict[str, float]:
    """Hand ranges back to tensors that have none from all that is computed of them, where all of that has one."""
    found: dict[str, float] = {}
    for tensor in [tensor for node in reversed(graph.nodes) for tensor in node.outputs if tensor.name not in known]:
        after = [known.get(identity(node), found.get(identity(node))) for node in tensor.outputs]
        told = [amax for amax in after if amax is not None]
        if told and len(told) == len(after) and not any(map(is_weighted, tensor.outputs)):
            found[tensor.name] = max(told)
    return found


def parsed_names(graph: gs.Graph) -> Mapping[str, bool]:
    """Tell every tensor that a parser makes from a graph; True for those behind the head's output convolutions."""
    heads = head_convs(graph)
    behind = behind_head(graph, heads)
    told = {tensor.name: False for tensor in graph.inputs}
    return told | {output.name: identity(node) in heads | behind for node in graph.nodes for output in node.outputs}
