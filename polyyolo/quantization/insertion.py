"""Q/DQ nodes into the graph: INT8 as TensorRT reads it, symmetric, with zero-point 0.

Scales are rounded up to what FP16 can hold, so that the same numbers serve a model cast to FP16 and one left in FP32.
"""

from collections.abc import Container, Mapping, Sequence
from shlex import quote
from types import MappingProxyType

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import field, frozen
from numpy.typing import NDArray

from polyyolo.calibration.thresholds import LEVELS
from polyyolo.errors import ModelError
from polyyolo.passes.surgery import free_name, names_of, read_instead
from polyyolo.quantization.before_activation import Early, middle_moved
from polyyolo.quantization.graph import exported, imported
from polyyolo.quantization.grid import Grid, Scales, grid_of, half_scale
from polyyolo.quantization.opset import AXIS_OPSET, raised
from polyyolo.quantization.placement import Placement
from polyyolo.quantization.shift import given_back, taken_off
from polyyolo.quantization.topology import CARRIERS, activations, carried, data_of, held_by, identity, weight_of
from polyyolo.records import CalibrationTable


@frozen(eq=False)
class Weights:
    """What the weights of one node become.

    Attributes:
        scales: one for each output channel, as FP16 holds them.
        levels: int8 in the shape of the weights; None rounds the node's own weights to the nearest.
        bias: the node's, in place of its own or of none; None leaves that.
    """

    scales: Scales
    levels: NDArray[np.int8] | None = None
    bias: NDArray[np.float32] | None = None


AS_THEY_ARE: Mapping[str, Weights] = MappingProxyType({})


@frozen(eq=False)
class _Pairs:
    """The pairs put into a graph so far.

    Attributes:
        graph: changed.
        taken: names that are in use there.
        made: what comes out of a pair, by the name of what it quantizes and the axis of its scales.
    """

    graph: gs.Graph
    taken: set[str]
    made: dict[tuple[str, int | None], gs.Variable] = field(factory=dict)

    def behind(self, tensor: gs.Tensor, scale: Scales, axis: int | None) -> gs.Variable:
        """Append QuantizeLinear and DequantizeLinear behind a tensor, once for each axis, and give what comes out."""
        key = (str(tensor.name), axis)
        if key not in self.made:
            self.made[key] = self._append(tensor, scale, {} if axis is None else {"axis": axis})
        return self.made[key]

    def _append(self, tensor: gs.Tensor, scale: Scales, attributes: dict[str, int]) -> gs.Variable:
        constants = [
            gs.Constant(self._name(tensor, "scale"), scale),
            gs.Constant(self._name(tensor, "zero_point"), np.zeros(scale.shape, np.int8)),
        ]
        stored = gs.Variable(self._name(tensor, "quantized"), np.int8)
        restored = gs.Variable(self._name(tensor, "dequantized"), np.float32)
        quantize, dequantize = (self._name(tensor, op) for op in ("QuantizeLinear", "DequantizeLinear"))
        self.graph.nodes += [
            gs.Node("QuantizeLinear", quantize, attributes, [tensor, *constants], [stored]),
            gs.Node("DequantizeLinear", dequantize, attributes, [stored, *constants], [restored]),
        ]
        return restored

    def _name(self, tensor: gs.Tensor, part: str) -> str:
        return free_name(f"{tensor.name}_{part}", self.taken)


def insert(
    model: onnx.ModelProto,
    placement: Placement,
    table: CalibrationTable,
    weights: Mapping[str, Weights] = AS_THEY_ARE,
) -> onnx.ModelProto:
    """Give a copy of an FP32 model in which the placement's nodes run in INT8.

    Args:
        model: in FP32, without Q/DQ nodes.
        placement: which nodes.
        table: ranges of their inputs.
        weights: by node identity; those of other nodes are rounded to the nearest and reach their largest magnitude.

    Raises:
        TableError: the table lacks a tensor of the placement.
        ModelError: a tensor's range is beyond what a scale can hold, or the model cannot be raised to operator set 13.
    """
    graph = imported(raised(model, AXIS_OPSET, "scales for each channel"))
    quantized = set(placement.nodes)
    grids = {name: _grid(group, placement, table) for group in placement.groups for name in group}
    branches = _branches(placement, grids, table)
    grids |= {name: grid_of(_amax(name, table)) for name in branches}
    tensors = graph.tensors()
    summands = _summands(graph, held_by(placement.observed, graph.nodes) & grids.keys() | {*branches})
    readers = {name: _int8_readers(tensors[name], quantized, grids, summands) for name in grids}
    pairs = _Pairs(graph, names_of(graph))
    for node in [node for node in graph.nodes if identity(node) in quantized]:
        _quantize_weight(pairs, node, weights.get(identity(node)), grids[data_of(node).name])
    for early in placement.early:
        if early.before in quantized and _is_whole(tensors[early.behind], readers, graph):
            _begin_early(pairs, early, tensors[early.before], grids[early.behind], table)
    for name, nodes in readers.items():
        _quantize_activation(pairs, tensors[name], nodes, grids[name])
    return exported(graph, like=model, ir_version=7)


def _grid(group: Sequence[str], placement: Placement, table: CalibrationTable) -> Grid:
    """Give the grid that a group shares: that of the widest among its tensors that were measured."""
    widest = max((name for name in group if name in placement.observed), key=table.amax)
    return grid_of(_amax(widest, table), placement.lowest.get(widest))


def _branches(placement: Placement, grids: Container[str], table: CalibrationTable) -> list[str]:
    """Name the branches that residual Adds read as INT8: those of quantized nodes, beside an INT8 skip."""
    nodes = set(placement.nodes)
    return [
        each.branch
        for each in placement.residuals
        if each.weighted in nodes and each.skip in grids and each.branch in table.ranges
    ]


def _amax(name: str, table: CalibrationTable) -> float:
    amax = table.amax(name)
    if amax > LEVELS * float(np.finfo(np.float16).max):
        raise ModelError(
            f"the model's tensor {name!r} reaches {amax:g}, beyond what an INT8 scale in FP16 can hold",
            fix="check the model's weights and the pictures' preprocessing, or build with --precision fp32",
        )
    return amax


def weight_scales(weight: NDArray[np.floating], axis: int) -> Scales:
    """Give one scale for each channel along ``axis``: its largest magnitude over 127."""
    others = tuple(index for index in range(weight.ndim) if index != axis)
    return half_scale(np.abs(weight).max(axis=others) / LEVELS)


def channel_axis(node: gs.Node, weight: gs.Constant) -> int:
    """Tell which axis of a weighted node's weights counts its outputs."""
    if node.op == "MatMul":
        comes_first = data_of(node) is node.inputs[1]
        return max(len(weight.shape) - (2 if comes_first else 1), 0)
    if node.op == "Gemm":
        return 0 if node.attrs.get("transB") else 1
    return 1 if node.op == "ConvTranspose" else 0


def _summands(graph: gs.Graph, whole: Container[str]) -> dict[str, set[str]]:
    """Find what each residual Add reads as INT8: the skip, and what carries INT8 for it alone.

    The skip is that of its inputs with other readers that was made first.

    Args:
        graph: sorted topologically.
        whole: the tensors that carry INT8 with a grid for all of their values. Where a convolution reads a part of one,
            as a Slice gives it, only that part was measured, and an Add of the whole reads it in float.

    Returns:
        identity of the Add -> names of tensors.
    """
    order = {output.name: place for place, node in enumerate(graph.nodes) for output in node.outputs}
    found = {}
    for node in graph.nodes:
        known = [tensor for tensor in activations(node) if tensor.name in whole]
        candidates = [tensor.name for tensor in known if len(tensor.outputs) > 1]
        if node.op == "Add" and len(activations(node)) == 2 and candidates:
            skip = min(candidates, key=lambda name: order.get(name, -1))
            found[identity(node)] = {skip, *(tensor.name for tensor in known if len(tensor.outputs) == 1)}
    return found


def _int8_readers(
    tensor: gs.Tensor, quantized: set[str], grids: Container[str], summands: Mapping[str, set[str]]
) -> list[gs.Node]:
    """Find the nodes that read this tensor as INT8: quantized ones, carriers of INT8, and residual Adds."""
    direct = [node for node in tensor.outputs if identity(node) in quantized and data_of(node) is tensor]
    carriers = [
        node
        for node in tensor.outputs
        if node.op in CARRIERS
        and any(source is tensor for source in carried(node))
        and all(output.name in grids for output in node.outputs)
    ]
    adds = [node for node in tensor.outputs if tensor.name in summands.get(identity(node), ())]
    return direct + carriers + adds


def _is_whole(tensor: gs.Tensor, readers: Mapping[str, Sequence[gs.Node]], graph: gs.Graph) -> bool:
    """Whether all that reads a tensor reads it as INT8."""
    return tensor.name in readers and len(readers[tensor.name]) == len(tensor.outputs) and tensor not in graph.outputs


def _quantize_activation(pairs: _Pairs, tensor: gs.Tensor, readers: list[gs.Node], grid: Grid) -> None:
    if not readers:
        return
    source = taken_off(pairs.graph, tensor, grid.middle, pairs.taken) if grid.middle else tensor
    read_instead(readers, tensor, pairs.behind(source, grid.scale, axis=None))


def _begin_early(pairs: _Pairs, early: Early, tensor: gs.Tensor, behind: Grid, table: CalibrationTable) -> None:
    """Put a pair behind a convolution, before its activation function, where little is clipped there."""
    largest = LEVELS * float(behind.scale) + behind.middle
    readers = list(tensor.outputs)
    if early.lowest is None:
        if tensor.name in table.ranges and early.fits(table.amax(tensor.name), largest):
            _quantize_activation(pairs, tensor, readers, behind)
    elif largest >= -early.lowest:
        grid = grid_of(largest, early.lowest)
        restored = pairs.behind(tensor, grid.scale, axis=None)
        if grid.middle:
            middle_moved(tensor.inputs[0], grid.middle, free_name(f"{tensor.name}_bias", pairs.taken))
            restored = taken_off(pairs.graph, restored, -grid.middle, pairs.taken)
        read_instead(readers, tensor, restored)


def _quantize_weight(pairs: _Pairs, node: gs.Node, given: Weights | None, read: Grid) -> None:
    """Put a pair behind the weights of a node, and make its bias fit them and the grid of what it reads."""
    weight = weight_of(node)
    if weight is None:
        return
    axis = channel_axis(node, weight)
    index = 1 if data_of(node) is node.inputs[0] else 0
    scales = given.scales if given else weight_scales(weight.values, axis)
    if not np.isfinite(scales).all():
        largest = np.abs(weight.values).max()
        raise ModelError(
            f"the weights of {identity(node)!r} reach {largest:g}, beyond what an INT8 scale in FP16 can hold",
            fix=f"keep it in float, with --keep-float {quote(identity(node))}",
        )
    levels = given.levels if given else None
    if levels is not None:
        is_shared = len(weight.outputs) > 1  # each of its nodes has had other inputs, and so other levels
        name = free_name(f"{weight.name}_of_{identity(node)}", pairs.taken) if is_shared else weight.name
        node.inputs[index] = gs.Constant(name, dequantized(levels, scales, axis))
    if given and given.bias is not None:
        node.inputs = [*node.inputs[:2], gs.Constant(f"{identity(node)}_corrected_bias", given.bias)]
    if read.middle:
        held = nearest(weight.values, scales, axis) if levels is None else levels
        given_back(node, dequantized(held, scales, axis), read.middle)
    node.inputs[index] = pairs.behind(node.inputs[index], scales, axis)


def dequantized(levels: NDArray[np.generic], scales: Scales, axis: int) -> NDArray[np.float32]:
    """Multiply integers with the scale of their channel: exact where the scales are such as FP16 holds."""
    return levels.astype(np.float32) * _along(scales, axis, levels.ndim)


def nearest(values: NDArray[np.floating], scales: Scales, axis: int) -> NDArray[np.int8]:
    """Give the integers that QuantizeLinear makes of weights with one scale for each channel."""
    limits = np.iinfo(np.int8)
    levels = np.clip(np.rint(values / _along(scales, axis, values.ndim)), limits.min, limits.max)
    return np.asarray(levels, np.int8)


def _along(scales: Scales, axis: int, axes: int) -> Scales:
    """Shape scales so that they go along one axis of several."""
    return scales.reshape([-1 if each == axis else 1 for each in range(axes)])
