"""Every layer of an ONNX: what it computes in, how much, and why it stays in float."""

from collections.abc import Collection

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from polyyolo.engine_layers.reasons import NOT_QUANTIZED
from polyyolo.models.spec import load
from polyyolo.quantization.graph import imported
from polyyolo.quantization.half import half_nodes
from polyyolo.quantization.placement import IMAGE, FloatBudget, Placement, place
from polyyolo.quantization.topology import (
    CARRIERS,
    QUANTIZING,
    carried,
    identity,
    is_weighted,
    reads_input,
)
from polyyolo.quantization.work import macs
from polyyolo.records import Layer, ModelSpec, Precision

_BESIDE = QUANTIZING | {"Constant", "Cast"}


def layers(spec: ModelSpec, size: tuple[int, int], budget: FloatBudget, *, planned: bool = False) -> tuple[Layer, ...]:
    """List the layers of a model, in order.

    Args:
        spec: any model.
        size: (height, width) in pixels, for counting the work.
        budget: what was or would be left in float.
        planned: tell an FP32 model as it would be quantized and cast to FP16, and not as it is; one that has Q/DQ
            nodes is always told as it is.

    Returns:
        One entry for each node but constants, casts and Q/DQ nodes.
    """
    model = load(spec.path)
    graph = imported(onnx.shape_inference.infer_shapes(model))
    work = macs(model, spec, size)
    placement = place(graph, work, budget)
    planned = planned and not spec.quantized
    half = {identity(node) for node in half_nodes(graph, spec.image)} if planned else set()
    reasons = placement.in_float if planned or spec.quantized else {}
    listed = []
    for node in [node for node in graph.nodes if node.op not in _BESIDE and node.outputs]:
        name = identity(node)
        precision = _planned(node, placement, half) if planned else _precision(node)
        reason = "" if precision is Precision.INT8 else reasons.get(name) or _untold(node, spec)
        listed.append(Layer(node.name or name, node.op, precision, work.get(name, 0), reason))
    return tuple(listed)


def _untold(node: gs.Node, spec: ModelSpec) -> str:
    """Say of a quantized model's node in float, which nobody said to keep there, what can be seen."""
    if not (spec.quantized and is_weighted(node)):
        return ""
    return IMAGE if reads_input(node) else NOT_QUANTIZED


def int8_share(listed: tuple[Layer, ...]) -> float:
    """Give the share of all multiply-accumulates that run in INT8, 0 to 1."""
    total = sum(layer.macs for layer in listed)
    return sum(layer.macs for layer in listed if layer.precision is Precision.INT8) / total if total else 0.0


def _planned(node: gs.Node, placement: Placement, half: Collection[str]) -> Precision:
    carries = node.op in CARRIERS and all(output.name in placement.tensors for output in node.outputs)
    if carries or identity(node) in placement.nodes:
        return Precision.INT8
    return Precision.FP16 if identity(node) in half else _stored(node)


def _precision(node: gs.Node) -> Precision:
    """A node runs in INT8 when all that it computes with comes out of a DequantizeLinear."""
    read = node.inputs[:2] if is_weighted(node) else carried(node) if node.op in CARRIERS else []
    if read and all(tensor.inputs and tensor.inputs[0].op == "DequantizeLinear" for tensor in read):
        return Precision.INT8
    return _stored(node)


def _stored(node: gs.Node) -> Precision:
    return Precision.FP16 if node.outputs[0].dtype == np.float16 else Precision.FP32
