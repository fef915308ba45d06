"""Convolutions that read the same tensor become one, where only convolutions read what they give."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.models.metadata import joined_in, metadata_of, with_metadata
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, constant_of, free_name, is_a, names_of, opened, values_of

SIDE_BY_SIDE = 32
"""Channels that TensorRT's fastest INT8 format keeps together: a part that begins at a multiple of them is no copy."""
FUNCTIONS = frozenset({"Relu", "LeakyRelu", "HardSwish", "Clip", "Elu", "Mish"})
PARTS_OPSET = 13
"""The first operator set in which a Split takes the sizes of its parts as an input."""


@frozen
class Sibling:
    """A convolution and its activation function.

    Attributes:
        conv: its weights and bias are constants.
        function: the nodes of the function; the last one makes ``made``.
        made: what only convolutions read.
    """

    conv: gs.Node
    function: tuple[gs.Node, ...]
    made: gs.Variable

    @property
    def channels(self) -> int:
        """How many it gives."""
        return int(values_of(self.conv.inputs[1]).shape[0])

    @property
    def kind(self) -> tuple[Any, ...]:
        """What siblings have in common: what they read, how they convolve, and the function behind that."""
        weight = values_of(self.conv.inputs[1])
        told = [(node.op, sorted(map(str, node.attrs.items()))) for node in self.function]
        own = [self.conv.outputs[0], *(output for node in self.function for output in node.outputs)]
        places = {id(tensor): place for place, tensor in enumerate(own)}
        read = [_told(tensor, places) for node in self.function for tensor in node.inputs]
        form = (weight.shape[1:], weight.dtype)
        attrs = sorted(map(str, self.conv.attrs.items()))
        return (id(self.conv.inputs[0]), form, str(attrs), len(self.conv.inputs), str(told), *read)


def _told(tensor: gs.Tensor, places: Mapping[int, int]) -> object:
    """Tell what a function reads: which of its own tensors, a constant's values, nothing, or which other tensor."""
    constant = constant_of(tensor)
    if constant is not None:
        values = np.asarray(constant.values)
        return values.dtype, values.shape, values.tobytes()
    return ("own", places[id(tensor)]) if id(tensor) in places else (tensor.name and id(tensor))


def run(model: onnx.ModelProto) -> PassResult:
    """Let one convolution give what several give, where each has the same activation function behind it.

    The heads of YOLOv8 and YOLOX begin with two convolutions of one tensor a level, for boxes and for classes. TensorRT
    8.6.0 runs a kernel for each. Where a Concat reads what they give, as in YOLOv5's C3, nothing is joined: a part of a
    tensor would be copied there. Numbers stay the same.
    """
    graph = opened(model)
    names = names_of(graph)
    joined: dict[str, str] = {}
    if graph.opset >= PARTS_OPSET:
        for siblings in _families(graph):
            conv = _join(graph, siblings, names)
            joined |= {
                name: conv.name for each in siblings for name in (each.conv.name, each.conv.outputs[0].name) if name
            }
    if not joined:
        return PassResult(model, changed=False, notes=("no convolutions to join",))
    metadata = metadata_of(model)
    told = {**metadata, "joined": json.dumps({**joined_in(metadata), **joined})}
    count = len(set(joined.values()))
    notes = (f"convolutions of one tensor are one now: {count} such",)
    return PassResult(with_metadata(closed(graph, model), told), changed=True, notes=notes)


def _families(graph: gs.Graph) -> Iterator[list[Sibling]]:
    """Yield those that can be one, in the order in which their channels go."""
    outputs = {id(tensor) for tensor in graph.outputs}
    found: dict[tuple[Any, ...], list[Sibling]] = {}
    for node in graph.nodes:
        sibling = _sibling(node, outputs)
        if sibling is not None:
            found.setdefault(sibling.kind, []).append(sibling)
    for siblings in found.values():
        ordered = sorted(siblings, key=lambda each: each.channels % SIDE_BY_SIDE != 0)
        if len(ordered) > 1 and all(each.channels % SIDE_BY_SIDE == 0 for each in ordered[:-1]):
            yield ordered


def _sibling(conv: gs.Node, outputs: set[int]) -> Sibling | None:
    """Give a convolution with the function behind it, if nothing but convolutions reads what that makes."""
    constant = all(constant_of(tensor) is not None for tensor in conv.inputs[1:])
    if not is_a(conv, "Conv") or conv.attrs.get("group", 1) != 1 or not constant:
        return None
    value = conv.outputs[0]
    function = _function(value)
    if function is None:
        return None
    made = function[-1].outputs[0]
    read = made.outputs and all(is_a(node, "Conv") and node.inputs[0] is made for node in made.outputs)
    return Sibling(conv, function, made) if read and not {id(value), id(made)} & outputs else None


def _function(value: gs.Variable) -> tuple[gs.Node, ...] | None:
    """Give the nodes of the activation function that alone reads a tensor: one, or SiLU's two."""
    readers = list(value.outputs)
    if len(readers) == 1 and readers[0].op in FUNCTIONS:
        return (readers[0],)
    gate = next((node for node in readers if node.op == "Sigmoid"), None)
    product = next((node for node in readers if node.op == "Mul"), None)
    if gate is None or product is None or len(readers) != 2 or len(gate.outputs[0].outputs) != 1:
        return None
    factors = {id(tensor) for tensor in product.inputs}
    return (gate, product) if factors == {id(value), id(gate.outputs[0])} else None


def _join(graph: gs.Graph, siblings: Sequence[Sibling], names: set[str]) -> gs.Node:
    """Put one convolution in the place of several, and give it."""
    first = siblings[0]
    constants = [
        np.concatenate([values_of(each.conv.inputs[place]) for each in siblings])
        for place in range(1, len(first.conv.inputs))
    ]

    def named(tensor: gs.Tensor, channels: int) -> gs.Variable:
        shape = tensor.shape and [tensor.shape[0], channels, *tensor.shape[2:]]
        return gs.Variable(free_name(f"{tensor.name}_joined", names), tensor.dtype, shape)

    channels = sum(each.channels for each in siblings)
    value = named(first.conv.outputs[0], channels)
    weights = [gs.Constant(free_name(f"{value.name}_{place}", names), held) for place, held in enumerate(constants)]
    inputs = [first.conv.inputs[0], *weights]
    conv = gs.Node("Conv", value.name, dict(first.conv.attrs), inputs, [value])
    graph.nodes.append(conv)
    known: dict[int, gs.Tensor] = {id(first.conv.outputs[0]): value}
    for node in first.function:
        made = named(node.outputs[0], channels)
        known[id(node.outputs[0])] = made
        inputs = [known.get(id(tensor), tensor) for tensor in node.inputs]
        graph.nodes.append(gs.Node(node.op, made.name, dict(node.attrs), inputs, [made]))
    sizes = gs.Constant(free_name(f"{value.name}_parts", names), np.array([each.channels for each in siblings]))
    for each in siblings:
        each.made.inputs.clear()
    last = known[id(first.made)]
    graph.nodes.append(
        gs.Node("Split", f"{last.name}_parts", {"axis": 1}, [last, sizes], [each.made for each in siblings])
    )
    return conv
