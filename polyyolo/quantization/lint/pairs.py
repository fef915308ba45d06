"""Q/DQ nodes as they stand in a graph, with the numbers that they hold."""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import frozen
from numpy.typing import NDArray

from polyyolo.passes.surgery import constant_of
from polyyolo.quantization.shift import before_shift
from polyyolo.quantization.topology import WEIGHTED

Values = NDArray[np.floating]
Kind = TypeVar("Kind")


@frozen(eq=False)
class Pair:
    """A QuantizeLinear with every DequantizeLinear that reads it; one of the two may be missing.

    Attributes:
        quantize: None where the integers are stored in the model, or come from elsewhere.
        dequantize: empty where nothing makes the integers float again.
    """

    quantize: gs.Node | None
    dequantize: tuple[gs.Node, ...]

    @property
    def nodes(self) -> tuple[gs.Node, ...]:
        """The nodes in order."""
        return self.dequantize if self.quantize is None else (self.quantize, *self.dequantize)

    @property
    def source(self) -> gs.Tensor:
        """What is quantized, in float; integers where there is no QuantizeLinear."""
        return self.nodes[0].inputs[0]

    @property
    def name(self) -> str:
        """How a reader of a finding knows it: by the tensor that it quantizes, shifted or not."""
        return str(before_shift(self.source)[0].name)

    @property
    def middle(self) -> float:
        """What was taken off the values before Q; 0 where nothing was."""
        return before_shift(self.source)[1]

    @property
    def stored(self) -> gs.Constant | None:
        """The constant that is quantized, float or already integers; None for an activation."""
        return fixed(self.source)

    @property
    def scale(self) -> Values | None:
        """The scale, of any shape; None where it is computed."""
        return _numbers(self.nodes[0].inputs[1])

    @property
    def zero_point(self) -> Values | None:
        """The zero-point, 0 where there is none; None where it is computed."""
        tensor = zero_point_of(self.nodes[0])
        return np.zeros(()) if tensor is None else _numbers(tensor)

    @property
    def computed(self) -> tuple[gs.Variable, ...]:
        """The scales and zero-points that nodes compute from constants, each once."""
        numbers = {id(tensor): tensor for node in self.nodes for tensor in node.inputs[1:3]}
        return tuple(each for each in numbers.values() if each.inputs and fixed(each) is not None)

    @property
    def type(self) -> str:
        """ONNX's name of the integer type, such as INT8; a QuantizeLinear without zero-point makes UINT8."""
        node = self.nodes[0]
        zero_point = zero_point_of(node)
        if zero_point is not None:
            return type_name(fixed(zero_point) or zero_point)
        if self.quantize is None:
            return type_name(self.source)
        wanted = node.attrs.get("output_dtype", 0)
        return str(onnx.TensorProto.DataType.Name(wanted or onnx.TensorProto.UINT8))

    @property
    def values(self) -> Values:
        """The stored constant in float, as what reads it sees it but for rounding; same shape."""
        values = np.asarray(known(self.stored).values, np.float64)
        if self.quantize is not None:
            return values
        along = [-1 if index == self.axis % values.ndim else 1 for index in range(values.ndim)]
        scale, shift = (
            each.reshape(along if each.size > 1 else [1] * values.ndim)
            for each in (known(self.scale), known(self.zero_point))
        )
        return np.asarray((values - shift) * scale)

    @property
    def named_axis(self) -> int:
        """The axis that the node names, or ONNX's default."""
        return int(self.nodes[0].attrs.get("axis", 1))

    @property
    def axis(self) -> int:
        """The axis along which there is a scale for each channel: the named one.

        Of stored integers the first of that length, where the named one has another: the model cannot run so, and its
        scales can lie nowhere else.
        """
        if self.quantize is not None or self.stored is None or self.scale is None:
            return self.named_axis
        shape = self.stored.shape
        fitting = [index for index, length in enumerate(shape) if length == self.scale.size]
        return fitting[0] if fitting and self.named_axis % len(shape) not in fitting else self.named_axis

    @property
    def is_removable(self) -> bool:
        """Whether the float values are at hand: in front of a QuantizeLinear, or to be had from stored integers."""
        if self.quantize is not None:
            return True
        stored, scale, shift = self.stored, self.scale, self.zero_point
        if stored is None or scale is None or shift is None or self.type not in {"INT8", "UINT8", "INT32"}:
            return False
        channels = stored.shape[self.axis % len(stored.shape)] if stored.shape else 1
        return usable(scale) and scale.ndim < 2 and {scale.size, shift.size} <= {1, channels}

    @property
    def is_matched(self) -> bool:
        """Whether every DequantizeLinear has the scale and zero-point of the QuantizeLinear, all of them constants."""
        alone = [Pair(None, (node,)) for node in self.dequantize]
        return all(_same(self.scale, each.scale) and _same(self.zero_point, each.zero_point) for each in alone)

    @property
    def restored(self) -> tuple[gs.Variable, ...]:
        """What comes out in float."""
        return tuple(node.outputs[0] for node in self.dequantize)

    @property
    def readers(self) -> tuple[gs.Node, ...]:
        """The nodes that read what comes out, each once."""
        return tuple({id(node): node for tensor in self.restored for node in tensor.outputs}.values())

    @property
    def is_bias(self) -> bool:
        """Whether it is the bias of a weighted node, or integers as only a bias has them."""
        added = any(node.op in WEIGHTED and tensor in self.restored for node, tensor in self._third_inputs())
        return self.stored is not None and (added or self.type == "INT32")

    def _third_inputs(self) -> Iterator[tuple[gs.Node, gs.Tensor]]:
        return ((node, node.inputs[2]) for node in self.readers if len(node.inputs) > 2)


def find_pairs(graph: gs.Graph) -> tuple[Pair, ...]:
    """Find every Q/DQ pair of a graph, in its order."""
    found = []
    for node in graph.nodes:
        if node.op == "QuantizeLinear":
            found.append(Pair(node, tuple(each for each in node.outputs[0].outputs if each.op == "DequantizeLinear")))
        elif node.op == "DequantizeLinear" and not _quantized_before(node):
            found.append(Pair(None, (node,)))
    return tuple(found)


def known(value: Kind | None) -> Kind:
    """Give a value that a rule has made sure of.

    Raises:
        ValueError: it is None all the same.
    """
    if value is None:
        raise ValueError("the graph computes what should be constant")
    return value


def usable(scale: Values) -> bool:
    """Whether all scales are finite and above 0."""
    return bool((np.isfinite(scale) & (scale > 0)).all())


def fixed(tensor: gs.Tensor) -> gs.Constant | None:
    """Give the constant behind a tensor, of the type that Casts on the way make of it; None where it is computed."""
    casts = []
    while tensor.inputs and tensor.inputs[0].op in {"Cast", "Identity"}:
        node = tensor.inputs[0]
        casts += [node.attrs["to"]] if node.op == "Cast" else []
        tensor = node.inputs[0]
    constant = constant_of(tensor)
    if constant is None or not casts:
        return constant
    values = constant.values
    for kind in reversed(casts):
        values = values.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    return gs.Constant(constant.name, values)


def zero_point_of(node: gs.Node) -> gs.Tensor | None:
    """Give the zero-point of a Q or DQ node, where it has one."""
    tensor = node.inputs[2] if len(node.inputs) > 2 else None
    return None if tensor is None or tensor.is_empty() else tensor


def type_name(tensor: gs.Tensor) -> str:
    """Give ONNX's name of a tensor's type."""
    kind = tensor.dtype
    if kind is None:
        return "UNDEFINED"
    number = kind if isinstance(kind, int) else onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    return str(onnx.TensorProto.DataType.Name(number))


def _same(first: Values | None, second: Values | None) -> bool:
    return first is not None and second is not None and np.array_equal(first.ravel(), second.ravel())


def _numbers(tensor: gs.Tensor) -> Values | None:
    constant = fixed(tensor)
    return None if constant is None else np.asarray(constant.values, np.float64)


def _quantized_before(node: gs.Node) -> bool:
    tensor = node.inputs[0]
    return bool(tensor.inputs) and tensor.inputs[0].op == "QuantizeLinear"
