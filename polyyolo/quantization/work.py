"""How much each weighted node computes: multiply-accumulates for one picture."""

import math
from collections.abc import Mapping

import onnx
import onnx_graphsurgeon as gs

from polyyolo.models.spec import load
from polyyolo.quantization.graph import imported
from polyyolo.quantization.topology import data_of, identity, is_weighted, weight_of
from polyyolo.records import ModelSpec


def macs_of(spec: ModelSpec, size: tuple[int, int]) -> dict[str, int]:
    """Count the work of a model file; see ``macs``."""
    return macs(load(spec.path), spec, size)


def macs(model: onnx.ModelProto, spec: ModelSpec, size: tuple[int, int]) -> dict[str, int]:
    """Count multiply-accumulates of every weighted node for one picture of ``size`` (height, width) pixels.

    Returns:
        node identity -> count; nodes whose output shape cannot be inferred are left out.
    """
    return macs_in(imported(model), shapes_at(model, spec, size))


def macs_in(graph: gs.Graph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Count them in a graph whose shapes (``shapes_at``) are known already."""
    counted = {identity(node): _count(node, shapes) for node in graph.nodes if is_weighted(node)}
    return {name: count for name, count in counted.items() if count}


def shapes_at(model: onnx.ModelProto, spec: ModelSpec, size: tuple[int, int]) -> Mapping[str, tuple[int, ...]]:
    """Infer the shape of every tensor for one picture of ``size`` (height, width); an unknown dimension is 0."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for tensor in fixed.graph.input:
        if tensor.name == spec.image:
            for axis, value in enumerate((1, None, *size)):
                if value is not None:
                    tensor.type.tensor_type.shape.dim[axis].dim_value = value
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    return {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*inferred.value_info, *inferred.output, *inferred.input)
    }


def _count(node: gs.Node, shapes: Mapping[str, tuple[int, ...]]) -> int:
    weight = weight_of(node)
    produced = shapes.get(identity(node), ())
    if weight is None or not produced:
        return 0
    kernel = tuple(map(int, weight.shape))
    if node.op == "Conv":
        return math.prod(produced) * _multiplied(weight)
    if node.op == "ConvTranspose":
        return math.prod(shapes.get(node.inputs[0].name, ())) * math.prod(kernel[1:])
    return math.prod(produced) * kernel[_summed_axis(node, weight)]


def _multiplied(weight: gs.Constant) -> int:
    """Count what a convolution sums up for a value: channels, rows and columns that are not zeros alone.

    Of those that are the passes ``read-whole`` and ``odd-kernel`` make some.
    """
    read = weight.values != 0
    axes = range(read.ndim)
    return math.prod(int(read.any(axis=tuple(set(axes) - {axis})).sum()) for axis in axes[1:])


def _summed_axis(node: gs.Node, weight: gs.Constant) -> int:
    """Tell which axis of a MatMul's or Gemm's weights is summed over."""
    if node.op == "Gemm":
        return 1 if node.attrs.get("transB") else 0
    comes_first = data_of(node) is node.inputs[1]
    return -1 if comes_first or len(weight.shape) == 1 else -2
