"""How much each weighted node computes: multiply-accumulates for one picture."""

import math
from collections.abc import Mapping

import onnx
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.models.spec import load
from polyyolo.quantization.graph import imported
from polyyolo.quantization.topology import QUANTIZING, data_of, identity, is_weighted, weight_of
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


@frozen
class Shapes:
    """The shapes of a model's tensors, those that can be inferred.

    Attributes:
        known: tensor -> shape; an unknown dimension is 0.
        pictures: how many the model takes at once.
    """

    known: Mapping[str, tuple[int, ...]]
    pictures: int = 1

    def values(self, tensor: str) -> int:
        """Tell how many values a tensor holds for one picture; 0 where its shape is not known."""
        shape = self.known.get(tensor)
        return math.prod(shape) // self.pictures if shape else 0


def macs_in(graph: gs.Graph, shapes: Shapes) -> dict[str, int]:
    """Count them in a graph whose shapes (``shapes_at``) are known already."""
    counted = {identity(node): _count(node, shapes) for node in graph.nodes if is_weighted(node)}
    return {name: count for name, count in counted.items() if count}


def shapes_at(model: onnx.ModelProto, spec: ModelSpec, size: tuple[int, int]) -> Shapes:
    """Infer the shape of every tensor for pictures of ``size`` (height, width), one where the batch is open.

    A fixed batch stays: a Reshape of attention may hold it.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    pictures = 1
    for tensor in fixed.graph.input:
        if tensor.name == spec.image:
            batch, _, *sides = tensor.type.tensor_type.shape.dim
            pictures = max(batch.dim_value, 1)
            for dim, value in zip((batch, *sides), (pictures, *size), strict=True):
                dim.dim_value = value
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    for node in fixed.graph.node:
        if node.op_type in QUANTIZING:
            node.domain = ""  # ONNX Runtime's own are as ONNX's, and ONNX infers nothing behind those
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    return Shapes(
        {
            value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
            for value in (*inferred.value_info, *inferred.output, *inferred.input)
        },
        pictures,
    )


def _count(node: gs.Node, shapes: Shapes) -> int:
    weight, made = weight_of(node), shapes.values(identity(node))
    if weight is None:
        return 0
    kernel = tuple(map(int, weight.shape))
    if node.op == "Conv":
        return made * _multiplied(weight)
    if node.op == "ConvTranspose":
        return shapes.values(node.inputs[0].name) * math.prod(kernel[1:])
    return made * kernel[_summed_axis(node, weight)]


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
