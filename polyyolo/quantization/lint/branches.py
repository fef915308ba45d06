"""Rules about nodes that bring several tensors together: residual Adds, Concat and the like."""

from collections.abc import Iterator

import numpy as np
import onnx_graphsurgeon as gs

from polyyolo.quantization.lint.pairs import Pair, usable
from polyyolo.quantization.lint.rules import Spot
from polyyolo.quantization.lint.view import View, reaches, title
from polyyolo.quantization.topology import (
    CARRIERS,
    activations,
    carried,
    conv_behind,
    held_by,
    identity,
    is_weighted,
)


def convolved_sides(view: View) -> Iterator[Spot]:
    """A pair between a convolution and the Add that could be fused into it, no activation function being in between."""
    for node, skip, main in _residuals(view):
        if not _is_bare(view.twin_of(node).inputs[main]):
            continue
        pair = view.pair_before(node.inputs[main])
        both = skip is not None or all(view.pair_before(tensor) is not None for tensor in node.inputs)
        if pair is not None and both:
            yield Spot((title(node),), f"reads {pair.name}", (pair,), (node,))


def bare_skips(view: View) -> Iterator[Spot]:
    """The skip branch of an Add behind an INT8 convolution, in float, though others read it in INT8.

    What nothing reads in INT8 is in float because a convolution is meant to be: nothing is kept twice for the Add. What
    a convolution reads a part of may have the scale of that part.
    """
    quantized = set(view.placement.nodes)
    whole = held_by(view.placement.observed, [*view.twin.values()])
    for node, skip, main in _residuals(view):
        conv = conv_behind(view.twin_of(node).inputs[main])
        if skip is None or conv is None or identity(conv) not in quantized or view.pair_before(node.inputs[skip]):
            continue
        tensor = node.inputs[skip]
        pair = next((pair for pair in view.activations() if pair.source is tensor and pair.dequantize), None)
        if pair is not None and tensor.name in whole:
            yield Spot((title(node),), tensor.name, (pair,), (node,))


def activated_sides(view: View) -> Iterator[Spot]:
    """What an activation function made of an INT8 convolution, read in float by an Add whose skip is INT8."""
    quantized = set(view.placement.nodes)
    for node, skip, main in _residuals(view):
        tensor = view.twin_of(node).inputs[main]
        conv = conv_behind(tensor)
        if skip is None or _is_bare(tensor) or conv is None or identity(conv) not in quantized:
            continue
        if view.pair_before(node.inputs[skip]) and not view.pair_before(node.inputs[main]):
            detail = f"{tensor.name}, for which no scale is known: calibrate it"
            yield Spot((title(node),), detail, (), (node,), mendable=False)


def _is_bare(tensor: gs.Tensor) -> bool:
    """Whether a tensor comes out of a weighted node as it is."""
    return bool(tensor.inputs) and is_weighted(tensor.inputs[0])


def untied(view: View) -> Iterator[Spot]:
    """Tensors that Concat, MaxPool, Resize, Slice or Split hand on as they are, or one tensor, with several scales."""
    for group in map(frozenset, view.placement.groups):
        pairs = tuple(pair for pair in view.activations() if pair.name in group and _is_plain(pair))
        found = sorted({float(pair.scale.item()) for pair in pairs if pair.scale is not None})
        if len(found) > 1:
            detail = f"{len(found)} scales from {found[0]:g} to {found[-1]:g}"
            yield Spot(_carriers(view, group) or (pairs[0].name,), detail, pairs)


def _is_plain(pair: Pair) -> bool:
    scale = pair.scale
    numbers = scale is not None and scale.size == 1 and usable(scale) and not np.any(pair.zero_point)
    return numbers and pair.type == "INT8" and pair.is_matched


def _carriers(view: View, group: frozenset[str]) -> tuple[str, ...]:
    return tuple(
        title(node)
        for node in view.twin.values()
        if node.op in CARRIERS and node.outputs[0].name in group and all(each.name in group for each in carried(node))
    )


def _residuals(view: View) -> Iterator[tuple[gs.Node, int | None, int]]:
    """Go through the Adds with a convolution on one side.

    Yields:
        the node; the place of its skip branch, None where neither side is computed from the other; the place of the
        side that a convolution makes.
    """
    for node in view.graph.nodes:
        twin = view.twin.get(identity(node))
        if node.op != "Add" or twin is None or len(activations(twin)) != 2 or identity(node) in view.decode:
            continue
        first, second = twin.inputs
        skip = 0 if reaches(first, second) else 1 if reaches(second, first) else None
        main = 1 if skip is None else 1 - skip
        if conv_behind(twin.inputs[main]) is not None:
            yield node, skip, main
