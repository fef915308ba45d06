"""What keeping nodes in float costs in time: their work at half the rate, and conversions at their borders.

The kernels counted are those of engines of TensorRT 8.6.0 on an H200, before SiLU in front of float was written so that
it is fused (``gates``). A convolution and its activation function are one INT8 kernel that reads and writes INT8. In
front of a node in float the convolution writes FP16 without the function, which becomes a kernel of its own, and so
does a change of layout; behind a node in float a kernel quantizes.
"""

from collections.abc import Collection, Mapping

import onnx_graphsurgeon as gs
from attrs import field, frozen

from polyyolo.models.spec import load
from polyyolo.quantization.before_activation import is_wide_on_picture
from polyyolo.quantization.graph import imported
from polyyolo.quantization.topology import (
    activations,
    data_of,
    head_convs,
    identity,
    is_weighted,
)
from polyyolo.quantization.work import macs_in, shapes_at
from polyyolo.records import ModelSpec
from polyyolo.work_units import MACS_PER_BYTE, MACS_PER_KERNEL


@frozen
class Border:
    """What is done with a node's output beyond what INT8 takes.

    Attributes:
        kernels: the function apart from the convolution, a change of layout, a quantization.
        bytes_per_value: written and read, beyond the two that INT8 takes.
    """

    kernels: int
    bytes_per_value: int

    def macs(self, values: int) -> float:
        """Tell how many multiply-accumulates in INT8 take as long."""
        return MACS_PER_KERNEL * self.kernels + MACS_PER_BYTE * self.bytes_per_value * values


INT8_TO_INT8 = Border(0, 0)
FLOAT_TO_FLOAT = Border(1, 2)
FLOAT_TO_INT8 = Border(1, 4)
INT8_TO_FLOAT = Border(2, 10)
INT8_TO_BOTH = Border(3, 13)


@frozen
class Flow:
    """Which weighted nodes compute from which, how much they do, and how much lies between them.

    Attributes:
        macs: node -> multiply-accumulates for one picture.
        readers: node -> the weighted nodes that compute from its output, whatever lies between.
        values: node -> how many values it gives for one picture.
        in_float: nodes that stay in float anyway.
        wide_on_picture: what comes first in float: INT8 makes it slower, or little faster for what it costs in boxes.
    """

    macs: Mapping[str, int]
    readers: Mapping[str, Collection[str]] = field(factory=dict)
    values: Mapping[str, int] = field(factory=dict)
    in_float: frozenset[str] = frozenset()
    wide_on_picture: frozenset[str] = frozenset()

    @property
    def time(self) -> float:
        """Estimate the time of the whole model in INT8, as multiply-accumulates."""
        return sum(self.macs.values()) + MACS_PER_KERNEL * len(self.readers)

    def cost(self, chosen: Collection[str]) -> float:
        """Estimate the time that nodes in float take beyond what they would in INT8.

        Returns:
            time, as multiply-accumulates in INT8.
        """
        floats = self.in_float.union(chosen)
        borders = sum(self._border(node, floats).macs(self.values.get(node, 0)) for node in self.readers)
        return sum(self.macs.get(node, 0) for node in floats) + borders

    def joins(self, first: Collection[str], second: Collection[str]) -> bool:
        """Whether nodes compute from one another: with both in float there are fewer borders than with each alone."""
        return self._reads(first, second) or self._reads(second, first)

    def _reads(self, nodes: Collection[str], made_by: Collection[str]) -> bool:
        return any(reader in nodes for node in made_by for reader in self.readers.get(node, ()))

    def _border(self, node: str, floats: frozenset[str]) -> Border:
        in_float = sum(reader in floats for reader in self.readers[node])
        if node in floats:
            return FLOAT_TO_FLOAT if in_float == len(self.readers[node]) else FLOAT_TO_INT8
        if not in_float:
            return INT8_TO_INT8
        return INT8_TO_FLOAT if in_float == len(self.readers[node]) else INT8_TO_BOTH


def flow_of(spec: ModelSpec, size: tuple[int, int]) -> Flow:
    """Follow what weighted nodes compute through a model, for one picture of ``size`` (height, width) pixels."""
    model = load(spec.path)
    graph = imported(model)
    graph.toposort()
    shapes = shapes_at(model, spec, size)
    return Flow(
        macs=macs_in(graph, shapes),
        readers=_readers(graph),
        values={name: shapes.values(name) for name in map(identity, filter(is_weighted, graph.nodes))},
        in_float=head_convs(graph),
        wide_on_picture=frozenset(identity(node) for node in graph.nodes if is_wide_on_picture(node)),
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
