"""A model that can be begun halfway: what is known there, and what is left to compute."""

from collections.abc import Iterable, Sequence
from math import prod

import onnx
from onnx.utils import Extractor

from polyyolo.models.reading import graphs_of
from polyyolo.models.tensors import inputs_of

MOST = 2.0
"""How many times the values of the picture may be kept: memory stays that of some pictures more."""


class Halfway:
    """The places of a model where it can be begun with what came before, as ONNX orders its nodes.

    Trials of one layer after the other need not compute again what comes before each, a third to half of all work.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        """Read a model.

        It is begun at its inputs alone where its nodes hold graphs of their own, where shapes are open, and where it
        holds what Extractor refuses.
        """
        inferred = onnx.shape_inference.infer_shapes(model)
        graph = inferred.graph
        inputs = [tensor.name for tensor in inputs_of(model)]
        self._outputs = [output.name for output in graph.output]
        self._made = {name: place for place, node in enumerate(graph.node) for name in node.output}
        self._last_read = {name: place for place, node in enumerate(graph.node) for name in node.input}
        self._computed = _computed(graph.node, inputs)
        self._infos = {each.name: each for each in (*graph.input, *graph.value_info, *graph.output)}
        self._room = MOST * max((_values(self._infos[name]) or 0 for name in inputs), default=0)
        self._extractor = Extractor(inferred)
        whole = len([*graphs_of(graph)]) > 1 or graph.sparse_initializer or graph.quantization_annotation
        # An output must not come before: nothing of the rest would make it.
        self._end = -1 if whole else min(self._made.get(name, -1) for name in self._outputs)

    def place(self, tensor: str) -> int:
        """Tell which node makes a tensor, counted from 0; -1 for an input."""
        return self._made.get(tensor, -1)

    def known_at(self, tensor: str) -> list[str] | None:
        """Name what the rest reads, once ``tensor`` is made, of all that was computed up to there.

        Returns:
            names, in the order in which they are made; None where the model cannot be begun there, or too much would
            have to be kept.
        """
        place = self.place(tensor)
        known = [name for name in self._computed if self.place(name) <= place < self._last_read.get(name, -1)]
        values = [_values(self._infos[name]) if name in self._infos else None for name in known]
        kept = sum(each for each in values if each is not None)
        return known if place < self._end and None not in values and kept <= self._room else None

    def between(self, known: Sequence[str], wanted: Sequence[str]) -> onnx.ModelProto:
        """Give the part of the model that computes tensors from others."""
        return self._extractor.extract_model(list(known), list(wanted))

    def rest(self, known: Sequence[str]) -> onnx.ModelProto:
        """Give the part of the model that computes its outputs from tensors that are known."""
        return self.between(known, self._outputs)


def _computed(nodes: Iterable[onnx.NodeProto], inputs: Iterable[str]) -> list[str]:
    """Name the inputs, and all that depends on them: not what nodes make of constants alone."""
    found = dict.fromkeys(inputs)
    for node in nodes:
        if not found.keys().isdisjoint(node.input):
            found |= dict.fromkeys(filter(None, node.output))
    return list(found)


def _values(info: onnx.ValueInfoProto) -> int | None:
    """Count a tensor's values; an open first dimension is the batch, taken as 1. None where another is open."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if sizes and sizes[0] is None:
        sizes[0] = 1
    return None if None in sizes else prod(size for size in sizes if size is not None)
