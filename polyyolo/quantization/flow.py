"""What keeping nodes in float costs in time: their work at half the rate, and conversions at their borders.

The kernels counted are those of engines of TensorRT 8.6.0 on an H200. A convolution and its activation function are one
INT8 kernel that reads and writes INT8. In front of a node in float the convolution writes FP16 without the function,
which becomes a kernel of its own, and so does a change of layout; behind a node in float a kernel quantizes.
"""

import math
from collections.abc import Collection, Mapping

import onnx_graphsurgeon as gs
from attrs import field, frozen

from polyyolo.models.spec import load
from polyyolo.quantization.graph import imported
from polyyolo.quantization.topology import activations, data_of, head_convs, identity, is_weighted
from polyyolo.quantization.work import macs_in, shapes_at
from polyyolo.records import ModelSpec

MACS_PER_BYTE = 20.0
"""Multiply-accumulates in INT8 that take as long as one byte through memory.

It makes the estimate for YOLOv5s and YOLOv4-tiny with a tenth of their work in float 16 and 13 percent of their time at
batch 1; engines took 11 and 13 percent more.
"""
FLOAT_TO_FLOAT = 2
"""Bytes for each value beyond the two that INT8 takes, one written and one read."""
FLOAT_TO_INT8 = 4
INT8_TO_FLOAT = 10
INT8_TO_BOTH = 13


@frozen
class Flow:
    """Which weighted nodes compute from which, how much they do, and how much lies between them.

    Attributes:
        macs: node -> multiply-accumulates for one picture.
        readers: node -> the weighted nodes that compute from its output, whatever lies between.
        values: node -> how many values it gives for one picture.
        in_float: nodes that stay in float anyway.
    """

    macs: Mapping[str, int]
    readers: Mapping[str, Collection[str]] = field(factory=dict)
    values: Mapping[str, int] = field(factory=dict)
    in_float: frozenset[str] = frozenset()

    @property
    def work(self) -> int:
        """Multiply-accumulates of the whole model."""
        return sum(self.macs.values())

    def cost(self, chosen: Collection[str]) -> float:
        """Estimate the time that nodes in float take beyond what they would in INT8.

        Returns:
            time, as multiply-accumulates in INT8.
        """
        floats = self.in_float.union(chosen)
        moved = sum(self._bytes(node, floats) * self.values.get(node, 0) for node in self.readers)
        return sum(self.macs.get(node, 0) for node in floats) + MACS_PER_BYTE * moved

    def _bytes(self, node: str, floats: frozenset[str]) -> int:
        """Count what is moved for each of a node's values beyond what INT8 takes."""
        in_float = sum(reader in floats for reader in self.readers[node])
        if node in floats:
            return FLOAT_TO_FLOAT if in_float == len(self.readers[node]) else FLOAT_TO_INT8
        if not in_float:
            return 0
        return INT8_TO_FLOAT if in_float == len(self.readers[node]) else INT8_TO_BOTH


def flow_of(spec: ModelSpec, size: tuple[int, int]) -> Flow:
    """Follow what weighted nodes compute through a model, for one picture of ``size`` (height, width) pixels."""
    model = load(spec.path)
    graph = imported(model)
    graph.toposort()
    shapes = shapes_at(model, spec, size)
    made = {name: shapes.get(name) or (0,) for name in map(identity, filter(is_weighted, graph.nodes))}
    return Flow(
        macs=macs_in(graph, shapes),
        readers=_readers(graph),
        values={name: math.prod(shape) for name, shape in made.items()},
        in_float=head_convs(graph),
    )


def _readers(graph: gs.Graph) -> dict[str, set[str]]:
    sources: dict[str, set[str]] = {}  # tensor -> the weighted nodes that it is computed from directly
    readers: dict[str, set[str]] = {}
    for node in graph.nodes:
        if is_weighted(node):
            for source in sources.get(data_of(node).name, ()):
                readers[source].add(identity(node))
            readers[identity(node)] = set()
            made = {identity(node)}
        else:
            made = set().union(*(sources.get(tensor.name, ()) for tensor in activations(node)))
        sources |= {output.name: made for output in node.outputs}
    return readers
