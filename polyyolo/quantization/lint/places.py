"""Rules about where a Q/DQ pair stands: what it comes between, and who reads it."""

from collections.abc import Callable, Iterator

import onnx_graphsurgeon as gs

from polyyolo.quantization.before_activation import is_wide_on_picture, writes_int8_alone
from polyyolo.quantization.lint.pairs import Pair, known
from polyyolo.quantization.lint.rules import Spot
from polyyolo.quantization.lint.view import View, is_int8, title
from polyyolo.quantization.topology import (
    ACTIVATIONS,
    CARRIERS,
    QUANTIZING,
    data_of,
    gated,
    identity,
    is_decode,
    is_weighted,
    origin,
    producer,
)

SENSITIVE = frozenset(
    {"Exp", "Erf", "Gelu", "InstanceNormalization", "LayerNormalization", "LogSoftmax", "ReduceSum", "Softmax"}
)
# These compute in INT8 themselves, or hand INT8 on to one that does.
_TAKES_INT8 = frozenset(
    {"Add", "AveragePool", "Conv", "ConvTranspose", "Gemm", "GlobalAveragePool", "MatMul", "QuantizeLinear"}
)


def biases(view: View) -> Iterator[Spot]:
    """A bias that is stored as integers, or rounded to them."""
    for pair in view.pairs:
        if pair.is_bias:
            yield Spot((pair.name,), pair.type, (pair,), pair.readers)


def decodes(view: View) -> Iterator[Spot]:
    """Anything that is quantized behind the head, but for DFL: boxes, scores, the outputs themselves."""
    outputs = {id(tensor) for tensor in view.graph.outputs}
    for pair in view.pairs:
        readers = tuple(node for node in pair.readers if identity(node) in view.decode and not _is_dfl(view, node))
        leaves = any(id(tensor) in outputs for tensor in pair.restored)
        whole = pair.quantize is not None and id(pair.quantize.outputs[0]) in outputs
        if readers or leaves or whole:
            names = tuple(map(title, readers)) or (pair.name,)
            kept = ", stored as integers: what they lost stays lost" if pair.quantize is None else ""
            detail = (
                "a graph output" if leaves else "a graph output of integers" if whole else f"reads {pair.name}{kept}"
            )
            yield Spot(names, detail, (pair,), readers, mendable=not whole)


def dfls(view: View) -> Iterator[Spot]:
    """What DFL's Softmax or the convolution behind it reads."""
    for pair in view.pairs:
        readers = tuple(node for node in pair.readers if identity(node) in view.decode and _is_dfl(view, node))
        if readers:
            yield Spot(tuple(map(title, readers)), f"reads {pair.name}", (pair,), readers)


def heads(view: View) -> Iterator[Spot]:
    """The head's output convolutions."""
    for node in view.graph.nodes:
        pairs = tuple(filter(None, map(view.pair_before, node.inputs[:2]))) if identity(node) in view.heads else ()
        if pairs:
            yield Spot((title(node),), "", pairs, (node,))


def between(view: View) -> Iterator[Spot]:
    """A pair between Conv, BatchNormalization or Add and the activation behind it, or inside that activation.

    Not the one that makes a convolution before its activation function fast.
    """
    for pair in view.activations():
        made_by = producer(origin(pair.source, QUANTIZING))
        readers = tuple(
            node
            for node in pair.readers
            if made_by is not None and _continues(view, made_by, node) and not _is_early(view, pair, node)
        )
        if readers:
            yield Spot((pair.name,), f"read by {_operators(readers)}", (pair,), readers)


def softmaxes(view: View) -> Iterator[Spot]:
    """Softmax, normalisation and exponentials outside the decode, as attention has them."""
    for pair in view.activations():
        readers = tuple(node for node in pair.readers if node.op in SENSITIVE and identity(node) not in view.decode)
        if readers:
            yield Spot(tuple(map(title, readers)), f"reads {pair.name}", (pair,), readers)


def doubles(view: View) -> Iterator[Spot]:
    """A pair straight behind another."""
    for pair in view.pairs:
        readers = tuple(node for node in pair.readers if node.op == "QuantizeLinear")
        if readers:
            yield Spot((pair.name,), "quantized again at once", (pair,), readers)


def halves(view: View) -> Iterator[Spot]:
    """A weighted node of which one factor is INT8 and the other is float."""
    for node in view.weighted():
        pairs = tuple(filter(None, map(view.pair_before, node.inputs[:2])))
        if pairs and not is_int8(node):
            which = "weights only" if view.pair_before(data_of(node)) is None else "activation only"
            yield Spot((title(node),), which, pairs, (node,))


def inputs(view: View) -> Iterator[Spot]:
    """A pair on the network's input where a convolution with a wide kernel reads it."""
    for pair in view.activations():
        convs = [reader for reader in pair.readers if is_weighted(reader) and not writes_int8_alone(reader)]
        if any(is_wide_on_picture(view.twin_of(reader)) for reader in convs):
            yield Spot((pair.name,), "", (pair,))


def unused(view: View) -> Iterator[Spot]:
    """A pair whose readers all compute in float, unless another rule has it already."""
    elsewhere: tuple[Callable[[View], Iterator[Spot]], ...] = (biases, decodes, dfls, heads, between, softmaxes)
    claimed = {id(pair) for rule in elsewhere for spot in rule(view) for pair in spot.pairs}
    for pair in view.pairs:
        if (
            id(pair) not in claimed
            and not _integer_readers(pair)
            and not any(_gains(view, node) or _is_early(view, pair, node) for node in pair.readers)
        ):
            readers = pair.readers
            yield Spot(
                (pair.name,), f"read by {_operators(readers)}" if readers else "read by nothing", (pair,), readers
            )


def _is_dfl(view: View, node: gs.Node) -> bool:
    return node.op == "Softmax" or is_decode(view.twin_of(node))


def _continues(view: View, made_by: gs.Node, reader: gs.Node) -> bool:
    """Whether a reader is the activation of the node that made a tensor, or another part of the same activation."""
    if identity(reader) in view.decode or reader.op == "QuantizeLinear":
        return False
    if gated(view.twin_of(reader)) is not None:
        return True
    starts = is_weighted(made_by) or made_by.op in {"BatchNormalization", "Add"}
    return reader.op in ACTIVATIONS and (starts or (made_by.op, reader.op) == ("Softplus", "Tanh"))


def _gains(view: View, reader: gs.Node) -> bool:
    if reader.op in CARRIERS:
        carries = set(view.placement.tensors)
        return all(tensor.name in carries for tensor in view.twin_of(reader).outputs)
    return reader.op in _TAKES_INT8


def _is_early(view: View, pair: Pair, reader: gs.Node) -> bool:
    """Whether a pair stands before an activation function behind which INT8 goes on alone, with the scale it must."""
    early = next((each for each in view.placement.early if each.before == pair.source.name), None)
    function = next((node for node in pair.readers if early and identity(node) == early.behind), None)
    if early is None or function is None or reader not in (function, *map(producer, function.inputs)):
        return False
    made = function.outputs[0]
    scales = [pair.scale, *(other.scale for other in view.activations() if other.source is made)]
    alone = all(node.op == "QuantizeLinear" for node in made.outputs) and made not in view.graph.outputs
    same = early.lowest is not None or (
        len(scales) > 1 and len({None if scale is None else scale.tobytes() for scale in scales}) == 1
    )
    return alone and same and is_int8(known(producer(pair.source)))


def _integer_readers(pair: Pair) -> list[gs.Node]:
    """Give the nodes that read the integers themselves."""
    stored = pair.quantize.outputs[0].outputs if pair.quantize is not None else []
    return [node for node in stored if node.op != "DequantizeLinear"]


def _operators(nodes: tuple[gs.Node, ...]) -> str:
    return ", ".join(dict.fromkeys(node.op for node in nodes))
