"""darknet's layers as records: what a section of the cfg means, and what shape comes out of it."""

from attrs import frozen


@frozen
class Shape:
    """Channels, height and width of one picture's map."""

    channels: int
    height: int
    width: int


@frozen
class Convolution:
    """A convolution with its bias or batch normalisation, and its activation.

    Attributes:
        channels: of the input.
        strides: down and across.
    """

    channels: int
    filters: int
    size: int
    strides: tuple[int, int]
    padding: int
    groups: int
    batch_normalize: bool
    activation: str
    shape: Shape

    @property
    def kernel(self) -> tuple[int, int, int, int]:
        """Shape of the weights, as darknet stores them and ONNX wants them: (out, in / groups, height, width)."""
        return (self.filters, self.channels // self.groups, self.size, self.size)

    @property
    def floats(self) -> int:
        """How many numbers the layer takes from the weights file."""
        filters, channels, height, width = self.kernel
        return filters * (4 if self.batch_normalize else 1) + filters * channels * height * width


@frozen
class MaxPool:
    """The largest value under a window; what lies outside the map never wins.

    Attributes:
        pads: top, left, bottom, right.
    """

    size: int
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    shape: Shape


@frozen
class Route:
    """Earlier maps, or one of ``groups`` equal slices of each, joined along the channels.

    Attributes:
        slices: first and last + 1 channel of each source.
    """

    sources: tuple[int, ...]
    slices: tuple[tuple[int, int], ...]
    whole: bool
    shape: Shape


@frozen
class Shortcut:
    """The previous map plus earlier ones of the same shape."""

    sources: tuple[int, ...]
    activation: str
    shape: Shape


@frozen
class Upsample:
    """Each pixel repeated ``factor`` times down and across."""

    factor: int
    shape: Shape


@frozen
class Yolo:
    """A head: the previous map is an output of the model.

    Attributes:
        anchors: (width, height) in pixels of the anchors that ``mask`` picks.
        scale_xy: how far a box's centre may leave its cell.
        new_coords: whether the sigmoid is taken by the layer before, and sizes are squares instead of powers of e.
    """

    anchors: tuple[tuple[float, float], ...]
    classes: int
    scale_xy: float
    new_coords: bool
    shape: Shape


Layer = Convolution | MaxPool | Route | Shortcut | Upsample | Yolo
