"""The ranges in a Q/DQ model from anywhere, for the FP32 model that it came from.

A Q/DQ model says how large the values in front of each weighted node may get. Its tensors are those of the FP32 model
where the names still are; where a quantizer, an exporter or a pass renamed or fused them, weighted nodes are matched:
same operator, same shape of weights, the same weighted nodes before them on every way from the image, and among
several such those whose weights point in the same direction.
"""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import frozen
from numpy.typing import NDArray

from polyyolo.errors import ModelError, TableError
from polyyolo.models.spec import load
from polyyolo.quantization.graph import imported
from polyyolo.quantization.lint.pairs import Pair, fixed
from polyyolo.quantization.shift import adds_number, before_shift
from polyyolo.quantization.topology import (
    CARRIERS,
    activations,
    carried,
    data_of,
    identity,
    is_decode,
    is_weighted,
    producer,
    weight_of,
)
from polyyolo.records import ModelSpec

Weights = NDArray[np.float64]

ALIKE = 0.5
"""Cosine between the weights of two nodes above which they are the same; fine-tuning leaves it above 0.9."""


@frozen
class Found:
    """What a Q/DQ model told about an FP32 model.

    Attributes:
        ranges: tensor of the FP32 model -> largest magnitude (amax) that its INT8 represents.
        by_structure: tensor of the FP32 model -> its name in the Q/DQ model, where that is another.
        missing: tensors in front of weighted nodes for which the Q/DQ model has no scale.
    """

    ranges: Mapping[str, float]
    by_structure: Mapping[str, str]
    missing: tuple[str, ...]


def scales_of(quantized: Path, spec: ModelSpec) -> Found:
    """Read the activations' ranges of a Q/DQ model.

    Args:
        quantized: an ONNX with QuantizeLinear and DequantizeLinear nodes.
        spec: the FP32 model that it was made from, or one with the same convolutions.

    Raises:
        ModelError: one of the two cannot be read, or ``quantized`` has no Q/DQ nodes.
        TableError: not one scale can be matched.
    """
    source, target = imported(load(quantized)), imported(load(spec.path))
    matched = _matched(source, target)
    inner = [node for node in target.nodes if is_weighted(node) and not is_decode(node)]
    unshifted = {matched[identity(node)] for node in inner if identity(node) in matched and _adds_its_own(node)}
    known = _measured(source, unshifted)
    if not known:
        raise ModelError(
            f"{quantized} has no DequantizeLinear in front of a weighted node",
            fix="name a Q/DQ model, or a calibration cache",
        )
    ranges: dict[str, float] = {}
    renamed: dict[str, str] = {}
    for node in inner:
        name = data_of(node).name
        if identity(node) in matched and matched[identity(node)] in known:
            origin, amax = known[matched[identity(node)]]
            ranges[name] = max(amax, ranges.get(name, 0.0))
            renamed |= {name: origin} if origin != name else {}
    if not ranges:
        raise TableError(
            f"none of the {len(known)} quantized nodes of {quantized} is in {spec.path}",
            fix="name the FP32 model that it was made from with --model",
        )
    wanted = dict.fromkeys(data_of(node).name for node in inner)
    return Found(ranges, renamed, tuple(name for name in wanted if name not in ranges))


def _adds_its_own(node: gs.Node) -> bool:
    """Whether what a weighted node of the FP32 model reads has a number added, so that this is no shift before Q."""
    made_by = producer(data_of(node))
    return made_by is not None and adds_number(made_by)


def _measured(graph: gs.Graph, unshifted: Container[str]) -> dict[str, tuple[str, float]]:
    """Give the tensor and amax in front of each weighted node that reads INT8: node identity -> (name, amax).

    Args:
        graph: with Q/DQ nodes.
        unshifted: identities of nodes in front of which a number is added in the FP32 model, too.
    """
    found = {}
    for node in filter(is_weighted, graph.nodes):
        pairs = list(_dequantized(data_of(node), shifted=identity(node) not in unshifted))
        if pairs:
            name = pairs[0][0] if len(pairs) == 1 else data_of(node).name
            found[identity(node)] = name, max(amax for _, amax in pairs)
    return found


def _dequantized(tensor: gs.Tensor, *, shifted: bool) -> Iterator[tuple[str, float]]:
    """Find the Q/DQ pairs behind a tensor, through nodes that only hand values on: (tensor before Q, amax).

    Args:
        tensor: in float.
        shifted: whether a number that is added right before Q may be a shift; carriers read none of those.
    """
    made_by = producer(tensor)
    if made_by is None:
        return
    if made_by.op == "DequantizeLinear":
        source = _origin(made_by)
        source, middle = before_shift(source) if shifted else (source, 0.0)
        yield str(source.name), _amax(made_by) + abs(middle)
    elif made_by.op in CARRIERS:
        for each in carried(made_by):
            yield from _dequantized(each, shifted=False)
    elif made_by.op in {"Cast", "Identity"}:
        for each in activations(made_by):
            yield from _dequantized(each, shifted=shifted)


def _origin(dequantize: gs.Node) -> gs.Tensor:
    """Give the tensor that was quantized, behind casts."""
    tensor = dequantize.inputs[0]
    while tensor.inputs and tensor.inputs[0].op in {"QuantizeLinear", "Cast", "Identity"}:
        tensor = tensor.inputs[0].inputs[0]
    return tensor


def _amax(dequantize: gs.Node) -> float:
    """Give the largest magnitude that a DequantizeLinear gives back: -128 of symmetric INT8 is not used.

    Raises:
        ModelError: its scale or zero-point is not a constant, or no number.
    """
    scale, *rest = [_constant(tensor, dequantize) for tensor in dequantize.inputs[1:3]]
    zero = rest[0] if rest else np.zeros(1, _type_of(dequantize))
    if not np.issubdtype(zero.dtype, np.integer):
        raise ModelError(
            f"{dequantize.name or _origin(dequantize).name} dequantizes {zero.dtype}, not an integer type",
            fix="name a model quantized to INT8",
        )
    limits = np.iinfo(str(zero.dtype))
    lowest = -limits.max if limits.min < 0 and not zero.any() else limits.min
    points = zero.astype(np.int64)
    reach = np.maximum(limits.max - points, points - lowest)
    return float((scale.astype(np.float64) * reach).max())


def _type_of(dequantize: gs.Node) -> np.dtype[np.generic]:
    """Give the type of the integers that a DequantizeLinear without a zero-point reads; UINT8 where none is told."""
    maker = producer(dequantize.inputs[0])
    name = Pair(maker if maker is not None and maker.op == "QuantizeLinear" else None, (dequantize,)).type
    kind = onnx.TensorProto.DataType.Value(name) or onnx.TensorProto.UINT8
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))


def _constant(tensor: gs.Tensor, node: gs.Node) -> NDArray[np.generic]:
    constant = fixed(tensor)
    if constant is None:
        raise ModelError(
            f"the scale or zero-point {tensor.name!r} of {node.name or _origin(node).name} is computed, not constant",
            fix="fold constants first: polyyolo surgeon fold-constants",
        )
    values: NDArray[np.generic] = constant.values
    return values


def _matched(source: gs.Graph, target: gs.Graph) -> dict[str, str]:
    """Match weighted nodes: identity in ``target`` -> identity in ``source``.

    First by name, since most quantizers keep it; exporters that number their tensors give the same name to others, so
    that the weights must agree. Then by place.
    """
    theirs = {identity(node): node for node in source.nodes if is_weighted(node)}
    ours = {identity(node): node for node in target.nodes if is_weighted(node)}
    same = {name: name for name, node in ours.items() if name in theirs and _are_alike(node, theirs[name])}
    return same | _by_place(_places(target, same), _places(source, same))


def _are_alike(first: gs.Node, second: gs.Node) -> bool:
    same = first.op == second.op and _shape(first) == _shape(second)
    return same and float(_direction(first) @ _direction(second)) > ALIKE


def _by_place(ours: Mapping[int, list[gs.Node]], theirs: Mapping[int, list[gs.Node]]) -> dict[str, str]:
    """Match nodes of the same place, those with the nearest weights first asked."""
    matched = {}
    for place, nodes in ours.items():
        candidates = list(theirs.get(place, ()))
        for node in nodes[: len(candidates)]:
            best = max(candidates, key=lambda candidate: float(_direction(node) @ _direction(candidate)))
            candidates.remove(best)
            matched[identity(node)] = identity(best)
    return matched


def _places(graph: gs.Graph, known: Mapping[str, str]) -> dict[int, list[gs.Node]]:
    """Group the weighted nodes that are not known yet by their place.

    A place is a hash of the operator, the weights' shape, and the places of the weighted nodes before it; that of a
    known node is its name, so that what follows it is found although what precedes it differs.
    """
    before: dict[int, frozenset[int]] = {}  # id of a tensor -> places of the weighted nodes that it comes from
    found: dict[int, list[gs.Node]] = {}
    for node in graph.nodes:
        sources: frozenset[int] = frozenset().union(*(before.get(id(tensor), ()) for tensor in activations(node)))
        if is_weighted(node):
            name = identity(node)
            place = hash(name if name in known else (node.op, _shape(node), sources))
            if name not in known:
                found.setdefault(place, []).append(node)
            sources = frozenset({place})
        before.update({id(output): sources for output in node.outputs})
    return found


def _shape(node: gs.Node) -> tuple[int, ...]:
    weight = weight_of(node)
    return () if weight is None else tuple(int(size) for size in weight.shape)


def _direction(node: gs.Node) -> Weights:
    """Give a node's weights as one vector of length 1, centred and scaled row by row.

    Scale and zero-point of INT8 weights cancel out so, and most of a folded batch normalisation.
    """
    weight = weight_of(node)
    values = np.zeros((1, 1)) if weight is None else np.asarray(weight.values, np.float64)
    rows = values.reshape(values.shape[0], -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(
        (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)).ravel() / len(rows) ** 0.5
    )
