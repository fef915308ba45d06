"""What a model is."""

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from attrs import evolve, field, frozen


class HeadKind(str, Enum):
    """The families of YOLO outputs, told apart by structure.

    V5: (B, N, 5 + C), boxes as centre and size in pixels, objectness, class scores.
    V8: (B, 4 + C, N), boxes as centre and size in pixels, class scores, no objectness.
    V5_RAW: one map a stride, (B, A * (5 + C), H, W) or (B, A, H, W, 5 + C), before sigmoid; YOLOv5's box rule.
    DARKNET_RAW: the same maps with darknet's box rule (exp for the size).
    V8_RAW: one map a stride, (B, 4 * bins + C, H, W): for the left, top, right and bottom side a distribution of its
    distance from the cell's middle over 0, 1, 2, ... cells, before softmax (one bin: the distance itself); then class
    scores before sigmoid, no objectness.
    YOLOX: V5's rows, one a cell.
    YOLOX_RAW: the same, where a box is its centre's way from the cell's corner and the logarithm of its size, in cells.
    CORNERS: two outputs, (B, N, 4) or (B, N, 1, 4) with x1, y1, x2, y2 in pixels or shares of the picture and (B, N, C)
    with class scores, either with its last axes swapped.
    BEST_CLASS: (B, N, 6), a row for each cell and anchor: x1, y1, x2, y2 in pixels, the best score, its class.
    END_TO_END: (B, N, 6): x1, y1, x2, y2 in pixels, score, class; NMS is inside the model. Extras may follow. Or the
    same in four outputs, as of TensorRT's EfficientNMS: how many there are (B, 1), (B, N, 4), (B, N) and (B, N).
    NONE: no YOLO head was recognised; outputs can be compared, boxes cannot be drawn.
    """

    V5 = "v5"
    V8 = "v8"
    V5_RAW = "v5-raw"
    DARKNET_RAW = "darknet-raw"
    V8_RAW = "v8-raw"
    YOLOX = "yolox"
    YOLOX_RAW = "yolox-raw"
    CORNERS = "corners"
    BEST_CLASS = "best-class"
    END_TO_END = "end-to-end"
    NONE = "none"


ANCHORED = frozenset({HeadKind.V5_RAW, HeadKind.DARKNET_RAW})
"""The families whose maps come out before sigmoid, and need anchors."""
RAW = ANCHORED | {HeadKind.V8_RAW}
"""The families whose maps come out, one a stride, as the last convolutions make them."""
NUMBERED = frozenset({HeadKind.BEST_CLASS, HeadKind.END_TO_END})
"""The families whose boxes have the number of one class, and not a score for each."""


@frozen
class TensorSpec:
    """An input or output of a model; a dimension is a number, or the name of a dynamic axis."""

    name: str
    dtype: str
    dims: tuple[int | str, ...]

    @property
    def is_dynamic(self) -> bool:
        """Whether any axis is left open."""
        return any(isinstance(dim, str) for dim in self.dims)


@frozen
class Head:
    """How boxes are read from a model's outputs.

    Attributes:
        kind: the family.
        classes: number of classes; 0 for ``HeadKind.NONE``. Heads that write a class's number in place of a score for
            each tell only how many they have names for.
        outputs: output names: raw maps in the order of ``strides``; boxes before scores where these are apart; of an
            end-to-end model with four: how many boxes, the boxes, their scores, their classes.
        strides: pixels a cell, one a map; for decoded heads all strides of the model where known.
        anchors: for raw maps, width and height in pixels of each anchor, one tuple a map.
        scale_xy: darknet's scale_x_y, one a map (1.0 for YOLOv3, 1.05 for YOLOv4-tiny); empty elsewhere.
        bins: for ``HeadKind.V8_RAW``, over how many distances each side of a box is spread; 0 elsewhere.
        extras: numbers of a box behind its class or class scores: mask coefficients, keypoints, an angle.
        cells: for YOLOX, (rows, columns) of cells of each stride, at the model's own size; empty elsewhere.
        picture: where boxes are shares of it, its (height, width) in pixels; empty elsewhere.
        why: how it was recognised, in one sentence.
        doubt: what may be wrong about that; empty where nothing is guessed.
    """

    kind: HeadKind
    classes: int = 0
    outputs: tuple[str, ...] = ()
    strides: tuple[int, ...] = ()
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    scale_xy: tuple[float, ...] = ()
    bins: int = 0
    extras: int = 0
    cells: tuple[tuple[int, int], ...] = ()
    picture: tuple[int, ...] = ()
    why: str = ""
    doubt: str = ""

    @property
    def labels(self) -> range:
        """The numbers that a box's class may have: a model that writes them may write any that float32 counts to."""
        return range(1 << 24 if self.kind in NUMBERED else self.classes)

    def at(self, size: tuple[int, int]) -> "Head":
        """Give the head for pictures of another size, (height, width) in pixels."""
        cells = cells_at(size, self.strides) if self.cells else ()
        return evolve(self, cells=cells, picture=size if self.picture else ())

    def may_share_classes(self, other: "Head") -> bool:
        """Whether boxes of both may be of the same classes: one that writes numbers and has no names does not tell."""
        silent = [head for head in (self, other) if head.kind in NUMBERED and not head.classes]
        return bool(silent) or self.classes == other.classes


def cells_at(size: tuple[int, int], strides: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Count the (rows, columns) of cells of each stride, for a picture of ``size`` (height, width) pixels."""
    return tuple((size[0] // stride, size[1] // stride) for stride in strides)


@frozen
class ModelSpec:
    """A model file and what was read from it.

    Attributes:
        path: the .onnx file; it has the hash ``sha256`` (weights in external files are part of the hash).
        opset: version of the default operator set.
        image: name of the one (N, C, H, W) input that takes pictures.
        names: class names by index; empty where the model does not tell.
        quantized: whether the graph already holds QuantizeLinear or DequantizeLinear, or computes with integers.
        takes_levels: whether it scales pixels by itself, so that it is fed with levels of 0 to 255.
        metadata: what the exporter left in the file.
        history: each pass that changed the model, oldest first.
    """

    path: Path
    sha256: str
    opset: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    image: str
    head: Head
    names: tuple[str, ...] = ()
    quantized: bool = False
    takes_levels: bool = False
    metadata: Mapping[str, str] = field(factory=dict)
    history: tuple[str, ...] = ()

    @property
    def image_input(self) -> TensorSpec:
        """The input that takes pictures, (N, C, H, W)."""
        return next(tensor for tensor in self.inputs if tensor.name == self.image)

    @property
    def stride(self) -> int:
        """The largest stride in pixels: height and width must be multiples of it."""
        return max(self.head.strides, default=32)
