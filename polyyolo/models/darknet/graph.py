"""Write a network as an ONNX graph: one small function for each kind of layer."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from attrs import Factory, define
from onnx import TensorProto, helper, numpy_helper

from polyyolo.models.darknet.layers import Convolution, Layer, MaxPool, Route, Shortcut, Upsample, Yolo
from polyyolo.models.darknet.network import Network
from polyyolo.models.darknet.weights import Array

IMAGES = "images"
LEAKY_SLOPE = 0.1


@define
class Writer:
    """Collects nodes while the layers are walked; it is the one thing here that changes.

    Attributes:
        outputs: name of each layer's map; a [yolo] has that of its convolution.
        weights: (kernel, bias) still to be used.
    """

    network: Network
    weights: Sequence[tuple[Array, Array]]
    nodes: list[onnx.NodeProto] = Factory(list)
    initializers: list[onnx.TensorProto] = Factory(list)
    outputs: list[str] = Factory(list)

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX's own
        """Add a node named for its output, and return that name."""
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: Array | Sequence[int]) -> str:
        """Add an initializer (int64 for plain numbers), and return its name."""
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name


def make_graph(
    network: Network, weights: Sequence[tuple[Array, Array]], batch: int | str, sides: tuple[int | str, int | str]
) -> onnx.GraphProto:
    """Write the graph: input ``images`` (batch, channels, height, width), one output a head.

    Args:
        network: layers and heads.
        weights: kernel and bias of each convolution, in order.
        batch: a number, or the name of a dynamic axis.
        sides: height and width, likewise; where they are names the outputs' sides get names too.
    """
    writer = Writer(network, weights)
    for index, layer in enumerate(network.layers):
        _write(writer, index, layer)
    shape = [batch, network.image.channels, *sides]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, _head_shape(yolo, batch, stride, sides))
        for name, yolo, stride in zip(network.names, network.yolos, network.strides, strict=True)
    ]
    image = helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, shape)
    return helper.make_graph(writer.nodes, "darknet", [image], outputs, writer.initializers)


def _head_shape(yolo: Yolo, batch: int | str, stride: int, sides: tuple[int | str, int | str]) -> list[int | str]:
    cells = (yolo.shape.height, yolo.shape.width)
    named = tuple(
        f"{side}_{stride}" if isinstance(side, str) else cell for side, cell in zip(sides, cells, strict=True)
    )
    return [batch, yolo.shape.channels, *named]


def _write(writer: Writer, index: int, layer: Layer) -> None:
    previous = writer.outputs[-1] if writer.outputs else IMAGES
    if isinstance(layer, Yolo):
        writer.outputs.append(previous)
        return
    result = _name(writer.network, index)
    if isinstance(layer, Convolution):
        written = _convolution(writer, layer, previous, result)
    elif isinstance(layer, MaxPool):
        written = writer.node(
            "MaxPool", [previous], result, kernel_shape=[layer.size] * 2, strides=layer.strides, pads=layer.pads
        )
    elif isinstance(layer, Route):
        written = _route(writer, layer, result)
    elif isinstance(layer, Shortcut):
        written = _shortcut(writer, layer, previous, result)
    else:
        written = _upsample(writer, layer, previous, result)
    writer.outputs.append(written)


def _name(network: Network, index: int) -> str:
    """Name of a layer's output: a head's where a [yolo] follows."""
    if index + 1 in network.heads:
        return network.names[network.heads.index(index + 1)]
    return f"layer{index}"


def _convolution(writer: Writer, layer: Convolution, previous: str, result: str) -> str:
    position = sum(node.op_type == "Conv" for node in writer.nodes)
    kernel, bias = writer.weights[position]
    inputs = [previous, writer.constant(f"{result}.weight", kernel), writer.constant(f"{result}.bias", bias)]
    # A head's sigmoid (new_coords) is left to the decoder, as YOLOv5's raw heads have it.
    activation = "linear" if result in writer.network.names else layer.activation
    output = result if activation == "linear" else f"{result}.conv"
    writer.node(
        "Conv",
        inputs,
        output,
        kernel_shape=[layer.size] * 2,
        strides=layer.strides,
        pads=[layer.padding] * 4,
        group=layer.groups,
    )
    return ACTIVATE[activation](writer, output, result)


def _route(writer: Writer, layer: Route, result: str) -> str:
    names = [writer.outputs[source] for source in layer.sources]
    if not layer.whole:
        names = [
            _slice(writer, name, part, result if len(names) == 1 else f"{result}.part{number}")
            for number, (name, part) in enumerate(zip(names, layer.slices, strict=True))
        ]
    return names[0] if len(names) == 1 else writer.node("Concat", names, result, axis=1)


def _slice(writer: Writer, name: str, part: tuple[int, int], output: str) -> str:
    first, last = part
    bounds = [
        writer.constant(f"{output}.{word}", [value]) for word, value in (("first", first), ("last", last), ("axis", 1))
    ]
    return writer.node("Slice", [name, *bounds], output)


def _shortcut(writer: Writer, layer: Shortcut, previous: str, result: str) -> str:
    total = result if layer.activation == "linear" else f"{result}.sum"
    names = [previous, *(writer.outputs[source] for source in layer.sources)]
    writer.node("Add" if len(names) == 2 else "Sum", names, total)
    return ACTIVATE[layer.activation](writer, total, result)


def _upsample(writer: Writer, layer: Upsample, previous: str, result: str) -> str:
    scales = writer.constant(f"{result}.scales", np.array([1, 1, layer.factor, layer.factor], np.float32))
    return writer.node(
        "Resize",
        [previous, "", scales],
        result,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _linear(_: Writer, name: str, __: str) -> str:
    return name


def _leaky(writer: Writer, name: str, result: str) -> str:
    return writer.node("LeakyRelu", [name], result, alpha=LEAKY_SLOPE)


def _relu(writer: Writer, name: str, result: str) -> str:
    return writer.node("Relu", [name], result)


def _logistic(writer: Writer, name: str, result: str) -> str:
    return writer.node("Sigmoid", [name], result)


def _swish(writer: Writer, name: str, result: str) -> str:
    return writer.node("Mul", [name, writer.node("Sigmoid", [name], f"{result}.sigmoid")], result)


def _mish(writer: Writer, name: str, result: str) -> str:
    """Multiply x with tanh(softplus(x)); ONNX's own Mish exists only from opset 18 on."""
    soft = writer.node("Softplus", [name], f"{result}.softplus")
    return writer.node("Mul", [name, writer.node("Tanh", [soft], f"{result}.tanh")], result)


ACTIVATE: dict[str, Callable[[Writer, str, str], str]] = {
    "linear": _linear,
    "leaky": _leaky,
    "relu": _relu,
    "logistic": _logistic,
    "swish": _swish,
    "mish": _mish,
}
