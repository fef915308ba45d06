"""Turn a cfg's sections into layers.

The rules are those of darknet's own parser and layer constructors: negative layer numbers count back from the layer
itself, ``pad=1`` stands for half the kernel, a max pool pads size - 1 in all and begins with half of that.
"""

from collections.abc import Callable, Sequence

from polyyolo.models.darknet.cfg import Section
from polyyolo.models.darknet.layers import Convolution, Layer, MaxPool, Route, Shape, Shortcut, Upsample, Yolo

ACTIVATIONS = ("leaky", "mish", "linear", "relu", "swish", "logistic")
CHANNELS = 1 << 16
PIXELS = 1 << 14

# What darknet can do to a layer beyond what is converted here; each changes the numbers unless it has this value.
REFUSED = {
    "convolutional": {
        "antialiasing": 0, "assisted_excitation": 0, "binary": 0, "bin_output": 0, "cbn": 0, "coordconv": 0,
        "dilation": 1, "dontload": 0, "dontloadscales": 0, "dot": 0, "flipped": 0, "reverse": 0, "rotate": 0,
        "stretch": 0, "stretch_sway": 0, "sway": 0, "xnor": 0,
    },
    "maxpool": {"antialiasing": 0, "maxpool_depth": 0, "maxpool_zero_nonmax": 0},
    "upsample": {"scale": 1},
}  # fmt: skip


def read_layer(section: Section, before: Sequence[Layer], image: Shape) -> Layer:
    """Turn one section into a layer.

    Args:
        section: the section.
        before: the layers already read; their number is the layer's own.
        image: shape of the model's input.

    Raises:
        ModelError: the layer is of a kind or has an option that is not converted, or its values cannot be.
    """
    if section.kind not in READERS:
        raise section.mistake(
            f"layers are not converted; known are {', '.join(sorted(READERS))}",
            fix="convert this model with the program that it was trained with, and give polyyolo the ONNX",
        )
    for key, neutral in REFUSED.get(section.kind, {}).items():
        if section.numbers(key, str(neutral)) != (neutral,):
            raise section.mistake(
                f"{key}={section.text(key, '')} is not converted",
                fix="convert this model with the program that it was trained with, and give polyyolo the ONNX",
                key=key,
            )
    if before and isinstance(before[-1], Yolo) and section.kind != "route":
        raise section.mistake("stands after a [yolo], which has no map to use", fix="begin with a [route]")
    previous = before[-1].shape if before else image
    return READERS[section.kind](section, previous, before)


def _convolution(section: Section, previous: Shape, _: Sequence[Layer]) -> Layer:
    size = section.integer("size", 1, low=1, high=31)
    strides = _strides(section, 1)
    padding = size // 2 if section.integer("pad", 0) else section.integer("padding", 0, high=31)
    filters = section.integer("filters", 1, low=1, high=CHANNELS)
    groups = section.integer("groups", 1, low=1, high=CHANNELS)
    if previous.channels % groups or filters % groups:
        raise section.mistake(
            f"groups={groups} does not divide {previous.channels} channels into {filters}", key="groups"
        )
    shape = _slid(section, previous, size, strides, 2 * padding)
    return Convolution(
        previous.channels,
        filters,
        size,
        strides,
        padding,
        groups,
        bool(section.integer("batch_normalize", 0)),
        _activation(section, "logistic"),
        Shape(filters, shape.height, shape.width),
    )


def _maxpool(section: Section, previous: Shape, _: Sequence[Layer]) -> Layer:
    strides = _strides(section, 1)
    size = section.integer("size", strides[0], low=1, high=255)
    padding = section.integer("padding", size - 1, high=2 * size - 2)
    shape = _slid(section, previous, size, strides, padding)
    first = padding // 2
    # Padding that no window reaches is left out: at even sizes a 2x2 pool of stride 2 then has none.
    down = max(0, (shape.height - 1) * strides[0] + size - previous.height - first)
    across = max(0, (shape.width - 1) * strides[1] + size - previous.width - first)
    return MaxPool(size, strides, (first, first, down, across), shape)


def _route(section: Section, _: Shape, before: Sequence[Layer]) -> Layer:
    sources = _sources(section, "layers", before)
    groups = section.integer("groups", 1, low=1, high=CHANNELS)
    group = section.integer("group_id", 0, high=groups - 1)
    shapes = [before[source].shape for source in sources]
    if len({(shape.height, shape.width) for shape in shapes}) > 1:
        sizes = ", ".join(f"{shape.height}x{shape.width}" for shape in shapes)
        raise section.mistake(f"joins maps of different sizes: {sizes}", key="layers")
    if any(shape.channels % groups for shape in shapes):
        raise section.mistake(f"groups={groups} does not divide the channels of its sources", key="groups")
    slices = tuple((shape.channels // groups * group, shape.channels // groups * (group + 1)) for shape in shapes)
    channels = sum(shape.channels for shape in shapes) // groups
    if channels > CHANNELS:
        raise section.mistake(f"joins {channels} channels, more than {CHANNELS}", key="layers")
    return Route(sources, slices, groups == 1, Shape(channels, shapes[0].height, shapes[0].width))


def _shortcut(section: Section, previous: Shape, before: Sequence[Layer]) -> Layer:
    sources = _sources(section, "from", before)
    if section.text("weights_type", "none") != "none":
        raise section.mistake("with weights is not converted", key="weights_type")
    for source in sources:
        if before[source].shape != previous:
            other = before[source].shape
            raise section.mistake(
                f"adds layer {source} of {other.channels}x{other.height}x{other.width} to a map of "
                f"{previous.channels}x{previous.height}x{previous.width}; different shapes are not converted",
                key="from",
            )
    return Shortcut(sources, _activation(section, "linear"), previous)


def _upsample(section: Section, previous: Shape, _: Sequence[Layer]) -> Layer:
    factor = section.integer("stride", 2, low=1, high=32)
    height, width = previous.height * factor, previous.width * factor
    if max(height, width) > PIXELS:
        raise section.mistake(f"makes a map of {height}x{width}, more than {PIXELS}", key="stride")
    return Upsample(factor, Shape(previous.channels, height, width))


def _yolo(section: Section, previous: Shape, before: Sequence[Layer]) -> Layer:
    classes = section.integer("classes", 20, low=1, high=CHANNELS)
    total = section.integer("num", 1, low=1, high=1000)
    mask = section.integers("mask", ",".join(map(str, range(total))), low=0, high=total - 1)
    sides = section.numbers("anchors", "")
    if len(sides) < 2 * (max(mask) + 1) or min(sides) <= 0:
        raise section.mistake(
            f"has {len(sides)} anchor sides; mask needs {2 * (max(mask) + 1)}, above 0", key="anchors"
        )
    wanted = len(mask) * (5 + classes)
    if not before or previous.channels != wanted:
        raise section.mistake(
            f"has {previous.channels} channels before it; {len(mask)} anchors with {classes} classes need {wanted}",
            fix=f"set filters={wanted} in the convolutional layer before it, as it was in training",
        )
    (scale_xy,) = section.numbers("scale_x_y", "1")[:1]
    if not 0 < scale_xy <= 4:
        raise section.mistake(f"scale_x_y={scale_xy} is not within 0..4", key="scale_x_y")
    anchors = tuple((sides[2 * pick], sides[2 * pick + 1]) for pick in mask)
    return Yolo(anchors, classes, scale_xy, bool(section.integer("new_coords", 0)), previous)


def _slid(section: Section, previous: Shape, size: int, strides: tuple[int, int], padding: int) -> Shape:
    """Shape after a window of ``size`` went over a map that has ``padding`` more pixels on each axis."""
    sides = tuple(
        (side + padding - size) // stride + 1
        for side, stride in zip((previous.height, previous.width), strides, strict=True)
    )
    if min(sides) < 1:
        raise section.mistake(f"has a window of {size} over a map of {previous.height}x{previous.width}", key="size")
    return Shape(previous.channels, *sides)


def _strides(section: Section, default: int) -> tuple[int, int]:
    """Strides down and across."""
    both = section.integer("stride", default, low=1, high=32)
    return section.integer("stride_y", both, low=1, high=32), section.integer("stride_x", both, low=1, high=32)


def _activation(section: Section, default: str) -> str:
    name = section.text("activation", default)
    if name not in ACTIVATIONS:
        raise section.mistake(
            f"activation={name[:80]} is not converted; known are {', '.join(ACTIVATIONS)}",
            fix="convert this model with the program that it was trained with, and give polyyolo the ONNX",
            key="activation",
        )
    return name


def _sources(section: Section, key: str, before: Sequence[Layer]) -> tuple[int, ...]:
    """Numbers of earlier layers, counted from 0."""
    here = len(before)
    given = section.integers(key, "", low=-here, high=here - 1)
    sources = tuple(number if number >= 0 else here + number for number in given)
    for source in sources:
        if isinstance(before[source], Yolo):
            raise section.mistake(f"{key} names layer {source}, which is a [yolo]: it has no map to use", key=key)
    return sources


READERS: dict[str, Callable[[Section, Shape, Sequence[Layer]], Layer]] = {
    "convolutional": _convolution,
    "maxpool": _maxpool,
    "route": _route,
    "shortcut": _shortcut,
    "upsample": _upsample,
    "yolo": _yolo,
}
