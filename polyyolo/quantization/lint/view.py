"""A Q/DQ graph beside its float twin: what is quantized, and what the model would be without it."""

from collections.abc import Iterable, Mapping

import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.quantization.lint.pairs import Pair, find_pairs
from polyyolo.quantization.placement import FloatBudget, Placement, place
from polyyolo.quantization.shift import before_shift
from polyyolo.quantization.topology import (
    QUANTIZING,
    activations,
    behind_head,
    head_convs,
    identity,
    is_decode,
    is_weighted,
)


@frozen(eq=False)
class View:
    """What the rules look at.

    Attributes:
        graph: the Q/DQ graph, sorted topologically.
        pairs: its Q/DQ pairs.
        twin: nodes of the same graph without Q/DQ, by identity; tensors keep their names.
        heads: identities of the head's output convolutions.
        decode: identities of all that is computed behind them.
        placement: polyyolo's own rules, applied to the convolutions that are INT8 in this graph.
    """

    graph: gs.Graph
    pairs: tuple[Pair, ...]
    twin: Mapping[str, gs.Node]
    heads: frozenset[str]
    decode: frozenset[str]
    placement: Placement

    def pair_before(self, tensor: gs.Tensor) -> Pair | None:
        """Give the pair that a tensor comes out of."""
        return next((pair for pair in self.pairs if any(tensor is each for each in pair.restored)), None)

    def activations(self) -> Iterable[Pair]:
        """The pairs on computed tensors."""
        return (pair for pair in self.pairs if pair.stored is None)

    def weighted(self) -> Iterable[gs.Node]:
        """The weighted nodes that INT8 suits: neither the head's nor the decode's."""
        outside = self.heads | self.decode
        return (node for node in self.graph.nodes if is_weighted(node) and identity(node) not in outside)

    def twin_of(self, node: gs.Node) -> gs.Node:
        """Give the same node in the float twin."""
        return self.twin[identity(node)]


def view_of(graph: gs.Graph) -> View:
    """Look at a graph, which is sorted but not changed."""
    graph.toposort()
    bare = _stripped(graph)
    heads = head_convs(bare)
    decode = behind_head(bare, heads) | {identity(node) for node in bare.nodes if is_decode(node)}
    in_float = tuple(identity(node) for node in graph.nodes if is_weighted(node) and not is_int8(node))
    return View(
        graph=graph,
        pairs=find_pairs(graph),
        twin={identity(node): node for node in bare.nodes},
        heads=heads,
        decode=frozenset(decode),
        placement=place(bare, {}, FloatBudget(names=in_float)),
    )


def is_int8(node: gs.Node) -> bool:
    """Whether a weighted node reads both of its factors from a DequantizeLinear."""
    return all(tensor.inputs and tensor.inputs[0].op == "DequantizeLinear" for tensor in node.inputs[:2])


def title(node: gs.Node) -> str:
    """Name a node as a person knows it."""
    return str(node.name or identity(node))


def reaches(start: gs.Tensor, end: gs.Tensor) -> bool:
    """Whether ``end`` is computed from ``start``."""
    waiting, seen = [end], {id(end)}
    while waiting:
        tensor = waiting.pop()
        if tensor is start:
            return True
        made_from = [source for node in tensor.inputs for source in activations(node) if id(source) not in seen]
        seen.update(map(id, made_from))
        waiting.extend(made_from)
    return False


def _stripped(graph: gs.Graph) -> gs.Graph:
    bare = graph.copy()
    shifts = [node for node in bare.nodes if node.outputs and before_shift(node.outputs[0])[0] is not node.outputs[0]]
    for node in [*shifts, *(node for node in bare.nodes if node.op in QUANTIZING)]:
        source = node.inputs[0] if node.op in QUANTIZING else activations(node)[0]
        produced = node.outputs[0]
        for reader in list(produced.outputs):
            for index in [index for index, tensor in enumerate(reader.inputs) if tensor is produced]:
                reader.inputs[index] = source
        bare.outputs = [source if tensor is produced else tensor for tensor in bare.outputs]
        node.inputs.clear()
        node.outputs.clear()
    bare.nodes = [node for node in bare.nodes if node.outputs]
    return bare
