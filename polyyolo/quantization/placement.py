"""Which nodes run in INT8, which tensors carry INT8, and why the others do not. Pure: a graph in, a record out.

The rules, with their sources in docs/quantization.md:
1. Inputs of weighted nodes are quantized, their outputs are not: nothing comes between Conv and its activation, but
   for some functions of which little is clipped there (``before_activation``).
2. The head's output convolutions and everything behind them stay in float; so does a MatMul of two activations.
3. What costs the most accuracy for its time stays in float up to a share of all work, of which the head's is a part:
   measured, or else the convolutions nearest the image. What reads the picture with a large kernel stays there whatever
   its share: INT8 makes it slower, or little faster for what it costs in boxes.
4. A tensor that reaches a quantized node through Concat, MaxPool, Resize, Slice or Split shares its scale with what
   comes out there, so that those nodes run in INT8 and nothing is rescaled. A Split of which one part is needed in
   float stays in float: the scale of the other parts might clip that one.
5. An Add takes INT8 on the side that a quantized node reads as well (the skip branch), and on the other where that
   comes from a quantized node and its activation function.
6. Where nothing but convolutions without padding reads the INT8 of an activation function that hardly goes below 0, it
   begins at that function's lowest value (``shift``).
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import onnx_graphsurgeon as gs
from attrs import field, frozen

from polyyolo.quantization.before_activation import Early, early_starts, is_wide_on_picture
from polyyolo.quantization.shift import shiftable
from polyyolo.quantization.topology import (
    CARRIERS,
    Residual,
    behind_head,
    carried,
    data_of,
    head_convs,
    identity,
    is_decode,
    is_weighted,
    reads_input,
    residuals_of,
)

HEAD, DECODE, STEM, NAMED = "head output", "behind the head", "nearest the image", "kept by name"
SENSITIVE, IMAGE = "most noise for its time", "reads the picture"
CHOSEN = frozenset({STEM, NAMED, SENSITIVE, IMAGE})
"""Reasons that a budget gives; the other two come from the model's structure."""


@frozen
class Placement:
    """What is to be quantized.

    Attributes:
        nodes: identities of the weighted nodes that run in INT8.
        observed: the inputs of all weighted nodes but the decode's: what a table must hold for any placement. What
            carriers hand on to them lies within them.
        groups: tensors that share one scale, each tensor in exactly one group.
        in_float: identity -> reason, for the weighted nodes that stay in float.
        residuals: Adds whose branch is quantized, too, where its node and the skip are and the table knows its range.
        early: activation functions before which INT8 may begin, where their convolution and all that reads them are in
            INT8 and the ranges fit.
        lowest: tensor -> what none of its values is below, where its INT8 need not be around 0.
    """

    nodes: tuple[str, ...]
    observed: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    in_float: Mapping[str, str]
    residuals: tuple[Residual, ...] = ()
    early: tuple[Early, ...] = ()
    lowest: Mapping[str, float] = field(factory=dict)

    @property
    def measured(self) -> tuple[str, ...]:
        """Every tensor that is to be measured; a table may lack those that are not observed."""
        return (
            *self.observed,
            *(each.branch for each in self.residuals),
            *(name for each in self.early for name in each.measured),
        )

    @property
    def tensors(self) -> tuple[str, ...]:
        """Every tensor that carries INT8."""
        return tuple(name for group in self.groups for name in group)


@frozen
class FloatBudget:
    """What is left in float.

    Attributes:
        stem: share (0 to 1) of the model's multiply-accumulates that the convolutions nearest the image may take, with
            the head's output convolutions and those that measurement chose.
        names: nodes to keep in float, by node name or by output tensor.
        sensitive: nodes that measurement chose, by output tensor.
        head: whether the head's output convolutions are, besides; where TensorRT chooses, it runs them in INT8.
    """

    stem: float = 0.0
    names: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    head: bool = True


def place(graph: gs.Graph, macs: Mapping[str, int], budget: FloatBudget) -> Placement:
    """Decide by structure what is quantized.

    Args:
        graph: any ONNX graph; it is not changed, but sorted topologically.
        macs: multiply-accumulates by node identity.
        budget: what else to keep in float.
    """
    graph.toposort()
    in_float = _in_float(graph, macs, budget)
    nodes = [node for node in graph.nodes if is_weighted(node) and identity(node) not in in_float]
    names = tuple(identity(node) for node in nodes)
    groups = _groups(graph, [data_of(node).name for node in nodes])
    return Placement(
        nodes=names,
        observed=_observed(graph, in_float),
        groups=groups,
        in_float=in_float,
        residuals=residuals_of(graph),
        early=tuple(early_starts(graph)),
        lowest=shiftable(graph, frozenset(names), groups),
    )


def _in_float(graph: gs.Graph, macs: Mapping[str, int], budget: FloatBudget) -> dict[str, str]:
    heads = head_convs(graph)
    decode = behind_head(graph, heads)
    reasons = {}
    for node in filter(is_weighted, graph.nodes):
        name = identity(node)
        if name in heads and budget.head:
            reasons[name] = HEAD
        elif name in decode or is_decode(node):
            reasons[name] = DECODE
        elif name in budget.names or node.name in budget.names:
            reasons[name] = NAMED
        elif name in budget.sensitive:
            reasons[name] = IMAGE if reads_input(node) else SENSITIVE
    free = [node for node in graph.nodes if is_weighted(node) and identity(node) not in reasons]
    stem = _stem(free, macs, left_of(budget.stem, macs, heads.union(budget.sensitive))) if budget.stem else ()
    return reasons | dict.fromkeys(stem, STEM)


def left_of(share: float, macs: Mapping[str, int], in_float: Iterable[str]) -> float:
    """Give the multiply-accumulates that a share of all work leaves beside nodes that are in float anyway."""
    return share * sum(macs.values()) - sum(macs.get(node, 0) for node in in_float)


def _observed(graph: gs.Graph, in_float: Mapping[str, str]) -> tuple[str, ...]:
    nodes = [node for node in graph.nodes if is_weighted(node) and in_float.get(identity(node)) != DECODE]
    return tuple(dict.fromkeys(data_of(node).name for node in nodes))


def _stem(nodes: Sequence[gs.Node], macs: Mapping[str, int], room: float) -> list[str]:
    """Take nodes in the order of the graph while there is room for their work; a wide kernel on the picture, anyway."""
    taken = []
    for node in nodes:
        name = identity(node)
        room -= macs.get(name, math.inf)
        if room < 0 and not is_wide_on_picture(node):
            break
        taken.append(name)
    return taken


def _groups(graph: gs.Graph, inputs: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Group the inputs of quantized nodes with every tensor that reaches them through carriers."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for name in inputs:
        root(name)
    for node in reversed(graph.nodes):  # an output is known to carry INT8 before its inputs are looked at
        if node.op in CARRIERS and all(output.name in parent for output in node.outputs):
            for tensor in (*carried(node), *node.outputs):
                parent[root(tensor.name)] = root(identity(node))
    members: dict[str, list[str]] = {}
    for name in parent:
        members.setdefault(root(name), []).append(name)
    return tuple(tuple(group) for group in members.values())
