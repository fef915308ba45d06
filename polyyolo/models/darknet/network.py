"""The whole network: layers with shapes, heads with strides. Nothing is read or allocated here but the cfg."""

from attrs import frozen

from polyyolo.errors import ModelError
from polyyolo.models.darknet.cfg import Cfg, Section
from polyyolo.models.darknet.layers import Convolution, Layer, Shape, Yolo
from polyyolo.models.darknet.reading import PIXELS, read_layer

SIGMOID_SCALE = 2.0  # YOLOv5's box rule: centre 2 * sigmoid - 0.5, size (2 * sigmoid) ** 2


@frozen
class Network:
    """What the cfg describes.

    Attributes:
        image: shape of the input.
        heads: numbers of the [yolo] layers, in cfg order.
    """

    image: Shape
    layers: tuple[Layer, ...]
    heads: tuple[int, ...]

    @property
    def yolos(self) -> tuple[Yolo, ...]:
        """The heads themselves."""
        return tuple(layer for layer in self.layers if isinstance(layer, Yolo))

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels a cell, one a head."""
        return tuple(self.image.height // head.shape.height for head in self.yolos)

    @property
    def names(self) -> tuple[str, ...]:
        """Output names, one a head: the stride, and a letter where two heads share one."""
        strides = self.strides
        return tuple(
            f"head{stride}" + ("" if strides.count(stride) == 1 else "abcdefghij"[strides[:index].count(stride)])
            for index, stride in enumerate(strides)
        )

    @property
    def floats(self) -> int:
        """How many numbers the weights file must hold."""
        return sum(layer.floats for layer in self.layers if isinstance(layer, Convolution))

    @property
    def new_coords(self) -> bool:
        """Whether the heads follow YOLOv5's box rule."""
        return self.yolos[0].new_coords


def read_network(cfg: Cfg, size: tuple[int, int] | None = None) -> Network:
    """Work out every layer's shape.

    Args:
        cfg: the parsed file.
        size: (height, width) in pixels instead of the cfg's own.

    Raises:
        ModelError: a layer cannot be converted, the size does not fit the strides, or there is no head.
    """
    image = _image(cfg.net, size)
    layers: list[Layer] = []
    for section in cfg.layers:
        layers.append(read_layer(section, layers, image))
    heads = tuple(index for index, layer in enumerate(layers) if isinstance(layer, Yolo))
    network = Network(image, tuple(layers), heads)
    _check_heads(cfg, network)
    return network


def _image(net: Section, size: tuple[int, int] | None) -> Shape:
    height = net.integer("height", 0, low=1, high=PIXELS) if size is None else size[0]
    width = net.integer("width", 0, low=1, high=PIXELS) if size is None else size[1]
    if not (1 <= height <= PIXELS and 1 <= width <= PIXELS):
        raise ModelError(f"a size of {height}x{width} is not within 1..{PIXELS}", fix="give another size, as 416 416")
    return Shape(net.integer("channels", 3, low=1, high=16), height, width)


def _check_heads(cfg: Cfg, network: Network) -> None:
    yolos = network.yolos
    if not 1 <= len(yolos) <= 10:
        raise cfg.net.mistake(f"the network has {len(yolos)} [yolo] layers; 1 to 10 can be converted")
    if len({(head.classes, head.new_coords) for head in yolos}) > 1:
        raise cfg.net.mistake("the [yolo] layers differ in classes or new_coords")
    for head, stride in zip(yolos, network.strides, strict=True):
        if (head.shape.height * stride, head.shape.width * stride) != (network.image.height, network.image.width):
            raise cfg.net.mistake(
                f"{network.image.height}x{network.image.width} pixels are no multiple of the {head.shape.height}x"
                f"{head.shape.width} cells of a head",
                fix="give a height and width that are multiples of 32",
            )
    for index in network.heads:
        _check_box_rule(cfg.layers[index], network, index)


def _check_box_rule(section: Section, network: Network, index: int) -> None:
    """A head with new_coords must be YOLOv5's, whose sigmoid is then left to the decoder."""
    head, before = network.layers[index], network.layers[index - 1]
    if not isinstance(head, Yolo) or not isinstance(before, Convolution):
        raise section.mistake("does not stand after a [convolutional]")
    wanted = ("logistic", SIGMOID_SCALE) if head.new_coords else ("linear", head.scale_xy)
    if (before.activation, head.scale_xy) != wanted:
        raise section.mistake(
            f"has new_coords={int(head.new_coords)}, scale_x_y={head.scale_xy:g} after activation={before.activation}; "
            f"that box rule needs activation={wanted[0]} and scale_x_y={wanted[1]:g}",
            fix="convert this model with the program that it was trained with, and give polyyolo the ONNX",
        )
