"""Q/DQ pairs taken out of a graph, or read by more nodes."""

import numpy as np
import onnx_graphsurgeon as gs

from polyyolo.quantization.insertion import channel_axis, weight_scales
from polyyolo.quantization.lint.pairs import Pair, fixed, known
from polyyolo.quantization.lint.rules import Spot
from polyyolo.quantization.opset import AXIS_OPSET
from polyyolo.quantization.topology import data_of, identity, weight_of


def make_constants(graph: gs.Graph, spot: Spot) -> None:  # noqa: ARG001 - what every mender takes
    """Let scales and zero-points be constants that nodes compute."""
    for pair in spot.pairs:
        for tensor in pair.computed:
            values = known(fixed(tensor)).values
            tensor.inputs.clear()
            tensor.to_constant(values)


def bypass(graph: gs.Graph, spot: Spot) -> None:
    """Let the readers read what was quantized, and graph outputs be it; nobody else notices."""
    for pair in spot.pairs:
        outputs = [tensor for tensor in pair.restored if any(tensor is each for each in graph.outputs)]
        for reader in spot.readers:
            for index in [index for index, tensor in enumerate(reader.inputs) if _among(tensor, pair.restored)]:
                reader.inputs[index] = _float_source(pair)
        for output in outputs:
            _lead_out(graph, _float_source(pair), output)


def read_skip(graph: gs.Graph, spot: Spot) -> None:  # noqa: ARG001 - what every mender takes
    """Let an Add read its skip branch through the pair that other nodes read it through."""
    for pair in spot.pairs:
        _read_through(spot.readers, pair.source, pair.restored[0])


def complete(graph: gs.Graph, spot: Spot) -> None:
    """Quantize the other factor too where its scale is known, as that of weights always is; else neither."""
    for node in spot.readers:
        weight_pair = next((pair for pair in spot.pairs if pair.stored is not None), None)
        restored = None if weight_pair is None else _restored_elsewhere(data_of(node))
        scale = fixed(spot.pairs[0].nodes[0].inputs[1])
        if restored is not None:
            _read_through((node,), data_of(node), restored)
        elif weight_pair is None and scale is not None and spot.pairs[0].type == "INT8" and graph.opset >= AXIS_OPSET:
            _quantize_weight(graph, node, kind=scale.values.dtype)
        else:
            bypass(graph, spot)


def _among(tensor: gs.Tensor, others: tuple[gs.Tensor, ...]) -> bool:
    return any(tensor is other for other in others)


def _float_source(pair: Pair) -> gs.Tensor:
    """Give what a pair quantizes; for stored integers, a constant of what they mean."""
    if pair.quantize is not None:
        return pair.source
    kind = known(fixed(pair.nodes[0].inputs[1])).values.dtype
    return gs.Constant(f"{identity(pair.nodes[0])}_float", pair.values.astype(kind))


def _lead_out(graph: gs.Graph, source: gs.Tensor, output: gs.Variable) -> None:
    """Let a graph output keep its name and be what was quantized."""
    output.inputs.clear()
    maker = source.inputs[0] if source.inputs else None
    if maker is None or _among(source, tuple(graph.outputs)):
        graph.nodes.append(gs.Node("Identity", f"{output.name}_out", inputs=[source], outputs=[output]))
        return
    for reader in list(source.outputs):
        for index in [index for index, tensor in enumerate(reader.inputs) if tensor is source]:
            reader.inputs[index] = output
    maker.outputs[maker.outputs.index(source)] = output


def _read_through(readers: tuple[gs.Node, ...], raw: gs.Tensor, restored: gs.Tensor) -> None:
    for node in readers:
        for index in [index for index, tensor in enumerate(node.inputs) if tensor is raw]:
            node.inputs[index] = restored


def _restored_elsewhere(tensor: gs.Tensor) -> gs.Tensor | None:
    """Give a tensor as others read it through Q/DQ, where any do."""
    return next(
        (
            restored.outputs[0]
            for node in tensor.outputs
            if node.op == "QuantizeLinear"
            for restored in node.outputs[0].outputs
            if restored.op == "DequantizeLinear"
        ),
        None,
    )


def _quantize_weight(graph: gs.Graph, node: gs.Node, kind: np.dtype[np.generic]) -> None:
    """Put a pair with a scale for each output, of this type, behind a weighted node's float weights."""
    weight = known(weight_of(node))
    index = 1 if data_of(node) is node.inputs[0] else 0
    axis, name = channel_axis(node, weight), f"{identity(node)}_weight"
    scale = weight_scales(weight.values, axis).astype(kind)
    constants = [
        gs.Constant(f"{name}_scale", scale),
        gs.Constant(f"{name}_zero_point", np.zeros(scale.shape, np.int8)),
    ]
    stored, restored = gs.Variable(f"{name}_quantized", np.int8), gs.Variable(f"{name}_dequantized", kind)
    graph.nodes += [
        gs.Node("QuantizeLinear", f"{name}_Q", {"axis": axis}, [node.inputs[index], *constants], [stored]),
        gs.Node("DequantizeLinear", f"{name}_DQ", {"axis": axis}, [stored, *constants], [restored]),
    ]
    node.inputs[index] = restored
