"""Find DFL: the Softmax whose probabilities make the boxes by a chain of operators that is affine in them."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.passes.branches import STANDARD
from polyyolo.passes.surgery import constant_of

MOVERS = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
# Affine in what they read first, where all else that they read is constant.
_OF_THE_FIRST = MOVERS | {"Slice", "Split", "Neg", "Div", "Conv", "ReduceSum"}
# Affine in one factor.
_OF_ONE = frozenset({"Mul", "MatMul", "Gemm"})
# Affine in all that they read.
_OF_ALL = frozenset({"Add", "Sub", "Concat"})


class NotFusedError(Exception):
    """It is DFL, and stays as it is; the message says why."""


@frozen
class Dfl:
    """The distribution over bins of each box's four sides, and what is computed of it.

    Attributes:
        logits: (B, 4 * bins, N).
        boxes: (B, 4, N).
        softmax: one of ``nodes``.
        nodes: all that lead from ``logits`` to ``boxes``, in order; nothing else reads what they make in between.
    """

    logits: gs.Variable
    boxes: gs.Variable
    softmax: gs.Node
    nodes: tuple[gs.Node, ...]


def dfl_at(graph: gs.Graph, softmax: gs.Node) -> Dfl | None:
    """Follow ``softmax`` back to the logits and on to the boxes, the last tensor that is affine in its output alone.

    Args:
        graph: sorted topologically, with the shapes of its tensors.
        softmax: one of its nodes.

    Returns:
        None where the Softmax is another's: no weighted sum of its output is taken, or one with computed weights, as
        attention does.

    Raises:
        NotFusedError: boxes or logits are not of fixed size, or something else reads what lies between them.
    """
    affine = _affine_from(graph, softmax.outputs[0])
    if all(node.op in MOVERS for node in affine):
        return None
    if softmax.outputs[0].dtype != np.float32:
        raise NotFusedError(f"it computes in {softmax.outputs[0].dtype}, and only float32 is sure to keep its numbers")
    ends = [tensor for node in reversed(affine) for tensor in node.outputs if _is(tensor, 4)]
    if not ends:
        raise NotFusedError("no boxes (B, 4, N) of fixed size are computed of it with constants")
    for boxes in ends:
        for before in _moved_to(softmax):
            nodes = (*before, softmax, *_leading_to(boxes, affine))
            logits = nodes[0].inputs[0]
            if _is(logits, None) and logits.shape[2] == boxes.shape[2] and _is_closed(graph, nodes, boxes):
                return Dfl(logits, boxes, softmax, nodes)
    raise NotFusedError("something else reads its distances too, or its logits are not (B, 4 * bins, N)")


def _affine_from(graph: gs.Graph, start: gs.Variable) -> list[gs.Node]:
    known = {id(start)}
    found = []
    for node in graph.nodes:
        if _is_affine(node, known):
            found.append(node)
            known.update(map(id, node.outputs))
    return found


def _is_affine(node: gs.Node, known: set[int]) -> bool:
    read = [tensor for tensor in node.inputs if not tensor.is_empty() and constant_of(tensor) is None]
    if node.domain not in STANDARD or not read or any(id(tensor) not in known for tensor in read):
        return False
    if node.op in _OF_THE_FIRST:
        return len(read) == 1 and read[0] is node.inputs[0]
    return node.op in _OF_ALL or (node.op in _OF_ONE and len(read) == 1)


def _moved_to(softmax: gs.Node) -> Iterator[tuple[gs.Node, ...]]:
    """Give the nodes that only move what ``softmax`` reads, as many as there are first, then always one less."""
    nodes: list[gs.Node] = []
    tensor = softmax.inputs[0]
    while tensor.inputs and tensor.inputs[0].op in MOVERS and all(map(constant_of, tensor.inputs[0].inputs[1:])):
        nodes.insert(0, tensor.inputs[0])
        tensor = tensor.inputs[0].inputs[0]
    return (tuple(nodes[first:]) for first in range(len(nodes) + 1))


def _leading_to(tensor: gs.Variable, affine: Sequence[gs.Node]) -> list[gs.Node]:
    needed = {id(tensor)}
    found: list[gs.Node] = []
    for node in reversed(affine):
        if any(id(output) in needed for output in node.outputs):
            found.insert(0, node)
            needed.update(map(id, node.inputs))
    return found


def _is_closed(graph: gs.Graph, nodes: Sequence[gs.Node], last: gs.Variable) -> bool:
    """Whether all that ``nodes`` make, but for ``last``, is read by them alone."""
    own = {id(node) for node in nodes}
    outputs = {id(tensor) for tensor in graph.outputs}
    between = [tensor for node in nodes for tensor in node.outputs if tensor is not last]
    return all(id(tensor) not in outputs and own.issuperset(map(id, tensor.outputs)) for tensor in between)


def _is(tensor: gs.Variable, rows: int | None) -> bool:
    """Whether a tensor is (B, ``rows``, N) of known N; without ``rows``, (B, four times as many as bins, N)."""
    shape: Sequence[object] = tensor.shape or ()
    known = [dim for dim in shape[1:] if isinstance(dim, int) and dim > 0]
    return len(shape) == 3 and len(known) == 2 and (known[0] == rows if rows else known[0] % 4 == 0)
