"""Boxes out of a model's raw outputs, for every family of heads."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from polyyolo.errors import ModelError
from polyyolo.models.corners import by_box
from polyyolo.records import ANCHORED, NUMBERED, Head, HeadKind
from polyyolo.verification.boxes import Array, Boxes

EVERYTHING = -1.0
"""Below every score, 0 included."""
NO_CHANCE = 25.0
"""Larger scores are pixels or class numbers: what INT8 makes of scores beside boxes of 1,280 pixels is 10 at most."""
_ANY = -1
"""Stands for as many values as there are."""
_ROWS = (HeadKind.V5, HeadKind.YOLOX, HeadKind.YOLOX_RAW)
"""The families with one row a box: four numbers of it, objectness, class scores."""


def decode(
    outputs: Mapping[str, Array], head: Head, *, confidence: float = 0.25, multi_label: bool = False
) -> list[Boxes]:
    """Read the candidates above ``confidence`` from a batch of outputs; end-to-end heads need no NMS after it.

    Cells are dropped by objectness before anything else is computed from them: a class score multiplied with it
    can only be lower.

    Args:
        outputs: output name -> array of a batch; the shapes of each family are listed at ``HeadKind``.
        head: how to read them.
        confidence: a score must be above this, 0 to 1.
        multi_label: every class above ``confidence`` makes a box (COCO's evaluation); else only the best one does.

    Returns:
        Candidates of each picture of the batch, in pixels of the model's input, in no order.

    Raises:
        ModelError: the head has no boxes to read, or an output has not the shape that the head says.
    """
    if head.kind is HeadKind.NONE:
        raise ModelError(
            "no YOLO head was recognised in this model", fix="name its family, or compare raw outputs only"
        )
    maps = _expected(outputs, head)
    if head.kind in NUMBERED:
        return [_numbered(rows, head, confidence) for rows in maps[0]]
    pictures = [[stack[index] for stack in maps] for index in range(len(maps[0]))]
    return [
        _candidates(_cells(picture, head, confidence), confidence=confidence, multi_label=multi_label)
        for picture in pictures
    ]


def scores_of_cells(outputs: Mapping[str, Array], head: Head) -> Array:
    """Read the class scores of all cells of one picture, in the model's order; not for end-to-end heads.

    Returns:
        (N, C) scores, 0 to 1.

    Raises:
        ModelError: an output has not the shape that the head says.
    """
    return _cells([stack[0] for stack in _expected(outputs, head)], head, EVERYTHING)[1]


def _expected(outputs: Mapping[str, Array], head: Head) -> list[Array]:
    """Pick the head's outputs, as float32: raw maps with anchors as (B, A, H, W, 5 + C), corners as (B, N, values).

    What a model chose in four outputs becomes one of rows.
    """
    maps = [np.asarray(outputs[name], np.float32) for name in head.outputs]
    if head.kind in ANCHORED:
        maps = [_by_cell(stack, len(anchors)) for stack, anchors in zip(maps, head.anchors, strict=True)]
    if head.kind is HeadKind.CORNERS:
        maps = [by_box(stack, values) for stack, values in zip(maps, (4, head.classes), strict=True)]
    for name, stack, (rank, axis, wanted) in zip(head.outputs, maps, _layouts(head), strict=True):
        if stack.ndim != rank or wanted not in {_ANY, stack.shape[axis]}:
            raise ModelError(
                f"output {name!r} has shape {outputs[name].shape}, which is no {head.kind.value} head of "
                f"{head.classes} classes",
                fix="look at the model with 'polyyolo inspect model', and name its family if it was mistaken",
            )
    cells = sum(rows * columns for rows, columns in head.cells)
    if cells and maps[0].shape[1] != cells:
        raise ModelError(
            f"output {head.outputs[0]!r} has {maps[0].shape[1]} rows, and {cells} cells were told from the model: its "
            "boxes cannot be read at another size",
            fix="fix its size first: polyyolo surgeon shape MODEL NEW --size HEIGHTxWIDTH",
        )
    return [_joined(*maps)] if head.kind is HeadKind.END_TO_END and len(maps) > 1 else maps


def _joined(number: Array, boxes: Array, scores: Array, classes: Array) -> Array:
    """Join what a model chose, in four outputs, to rows of corners, score and class; those that are none score 0."""
    there = np.arange(scores.shape[1]) < number
    return np.concatenate([boxes, np.where(there, scores, 0)[..., None], classes[..., None]], axis=2)


def _layouts(head: Head) -> list[tuple[int, int, int]]:
    """Tell what each output of a head must have: so many axes, and along one of them so many values."""
    if head.kind is HeadKind.CORNERS:
        return [(3, -1, 4), (3, -1, head.classes)]
    if head.kind is HeadKind.END_TO_END and len(head.outputs) > 1:
        return [(2, -1, 1), (3, -1, 4), (2, -1, _ANY), (2, -1, _ANY)]
    values = {
        **dict.fromkeys(_ROWS, (3, -1, 5 + head.classes + head.extras)),
        HeadKind.V8: (3, 1, 4 + head.classes + head.extras),
        HeadKind.V8_RAW: (4, 1, 4 * head.bins + head.classes),
        **dict.fromkeys(NUMBERED, (3, -1, 6 + head.extras)),
    }
    return [values.get(head.kind, (5, -1, 5 + head.classes))] * len(head.outputs)


def _by_cell(stack: Array, anchors: int) -> Array:
    """View (B, A * (5 + C), H, W) as (B, A, H, W, 5 + C); 5-D maps and other shapes stay as they are."""
    if stack.ndim != 4 or stack.shape[1] % anchors:
        return stack
    batch, channels, height, width = stack.shape
    return np.moveaxis(stack.reshape(batch, anchors, channels // anchors, height, width), 2, -1)


@np.errstate(over="ignore", invalid="ignore")  # boxes that are not finite are dropped later
def _cells(maps: list[Array], head: Head, confidence: float) -> tuple[Array, Array]:
    """Boxes and class scores of the cells of one picture that may hold something.

    Returns:
        (N, 4) centre and size in pixels, and (N, C) class scores.
    """
    if head.kind is HeadKind.V8:
        columns = maps[0][: 4 + head.classes]
        hopeful = np.flatnonzero(columns[4:].max(axis=0) > confidence)
        rows = columns[:, hopeful].T
        return rows[:, :4], rows[:, 4:]
    if head.kind is HeadKind.BEST_CLASS:
        maps = np.split(maps[0][:, :5], [4], axis=1)
    if head.kind in {HeadKind.CORNERS, HeadKind.BEST_CLASS}:
        corners, scores = maps
        hopeful = np.flatnonzero(scores.max(axis=1) > confidence)
        unit = np.array(head.picture[::-1] or (1, 1), np.float32)
        first, last = np.split(corners[hopeful] * np.tile(unit, 2), 2, axis=1)
        return np.concatenate([(first + last) / 2, last - first], axis=1), scores[hopeful]
    if head.kind in _ROWS:
        hopeful = np.flatnonzero(maps[0][:, 4] > confidence)
        rows = maps[0][hopeful]
        boxes = _yolox_box(rows[:, :4], hopeful, head) if head.kind is HeadKind.YOLOX_RAW else rows[:, :4]
        return boxes, rows[:, 5 : 5 + head.classes] * rows[:, 4:5]
    levels = list((_v8_levels if head.kind is HeadKind.V8_RAW else _levels)(maps, head, confidence))
    return np.concatenate([box for box, _ in levels]), np.concatenate([scores for _, scores in levels])


def _levels(maps: list[Array], head: Head, confidence: float) -> Iterator[tuple[Array, Array]]:
    """Centre and size, and class scores, of the hopeful cells of each raw map with anchors."""
    logit = _logit(confidence)
    scale_xy = head.scale_xy or (1.0,) * len(maps)
    for cells, stride, sizes, scale in zip(maps, head.strides, head.anchors, scale_xy, strict=True):
        anchor, row, column = np.nonzero(cells[..., 4] > logit)
        logits = cells[anchor, row, column]
        grid = np.stack([column, row], axis=1)
        box = _V5_OR_DARKNET[head.kind](logits[:, :4], grid, stride, np.asarray(sizes, np.float32)[anchor], scale)
        chances = _sigmoid(logits[:, 4:])
        yield box.astype(np.float32), chances[:, 1:] * chances[:, :1]


def _v8_levels(maps: list[Array], head: Head, confidence: float) -> Iterator[tuple[Array, Array]]:
    """Centre and size, and class scores, of the hopeful cells of each of YOLOv8's raw maps."""
    logit = _logit(confidence)
    for cells, stride in zip(maps, head.strides, strict=True):
        row, column = np.nonzero(cells[4 * head.bins :].max(axis=0) > logit)
        logits = cells[:, row, column].T
        distances = _expected_bin(logits[:, : 4 * head.bins].reshape(-1, 4, head.bins))
        before, after = np.split(distances, 2, axis=1)
        centre = np.stack([column, row], axis=1) + 0.5 + (after - before) / 2
        box = np.concatenate([centre, before + after], axis=1) * stride
        yield box.astype(np.float32), _sigmoid(logits[:, 4 * head.bins :])


def _expected_bin(logits: Array) -> Array:
    """Turn (N, 4, bins) logits over 0, 1, 2, ... into the mean of each; a bin alone is the value itself."""
    if logits.shape[2] == 1:
        return logits[..., 0]
    chances = np.exp(logits - logits.max(axis=2, keepdims=True))
    mean: Array = chances @ np.arange(logits.shape[2], dtype=np.float32) / chances.sum(axis=2)
    return mean


def _v5_box(logits: Array, grid: Array, stride: int, anchors: Array, _scale: float) -> Array:
    """YOLOv5's rule: the centre reaches half a cell beyond its own, the size up to four anchors."""
    twice = 2 * _sigmoid(logits)
    return np.concatenate([(twice[:, :2] - 0.5 + grid) * stride, twice[:, 2:] ** 2 * anchors], axis=1)


def _darknet_box(logits: Array, grid: Array, stride: int, anchors: Array, scale: float) -> Array:
    """Darknet's rule: the centre stretched about the middle of its cell by scale_x_y, the size by exp."""
    centre = (_sigmoid(logits[:, :2]) - 0.5) * scale + 0.5 + grid
    return np.concatenate([centre * stride, np.exp(logits[:, 2:]) * anchors], axis=1)


def _yolox_box(values: Array, cells: NDArray[np.intp], head: Head) -> Array:
    """YOLOX's rule: the centre is told from its cell's corner, the size by exp, both in cells.

    Args:
        values: (N, 4).
        cells: (N,) which of all rows these are: the cells of the first stride line by line, then those of the next.
        head: with strides and cells.
    """
    corners = [np.indices(cells_of).reshape(2, -1)[::-1].T for cells_of in head.cells]
    strides = np.repeat(head.strides, [len(each) for each in corners])[cells, None]
    both = np.concatenate([values[:, :2] + np.concatenate(corners)[cells], np.exp(values[:, 2:])], axis=1)
    return np.asarray(both * strides, np.float32)


_V5_OR_DARKNET = {HeadKind.V5_RAW: _v5_box, HeadKind.DARKNET_RAW: _darknet_box}


def _logit(confidence: float) -> Array:
    """Give what sigmoid makes ``confidence`` of; 0, and less, and 1 lie infinitely far out."""
    least = max(confidence, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(least) - np.log1p(-least))


def _sigmoid(logits: Array) -> Array:
    """Logistic function; tanh does not overflow where exp would."""
    return np.tanh(logits / 2) / 2 + 0.5


@np.errstate(over="ignore", invalid="ignore")
def _candidates(cells: tuple[Array, Array], *, confidence: float, multi_label: bool) -> Boxes:
    """Make a box of every class above ``confidence``, or of each cell's best class."""
    centred, scores = cells
    _refuse_no_chances(scores)
    if multi_label:
        row, label = np.divmod(np.flatnonzero(scores > confidence), scores.shape[1])
    else:
        best = scores.argmax(axis=1)
        row = np.flatnonzero(scores[np.arange(len(scores)), best] > confidence)
        label = best[row]
    half = centred[row, 2:] / 2
    corners = np.concatenate([centred[row, :2] - half, centred[row, :2] + half], axis=1)
    return _finite(Boxes(corners, scores[row, label], label.astype(np.int64)))


def _refuse_no_chances(scores: Array) -> None:
    """Refuse what cannot be a chance: the numbers of a box stand in another order.

    What INT8 makes of scores that share a scale with boxes may be a few times 1: a bad model is no other head.

    Raises:
        ModelError: a score is a number like a pixel's.
    """
    above = scores[np.isfinite(scores) & (scores > NO_CHANCE)]
    if above.size:
        raise ModelError(
            f"a score is {above.max():.4g}, where chances from 0 to 1 should be: the outputs are those of another head",
            fix="look at the model with 'polyyolo inspect model'; name its family with --head if it was mistaken, or "
            "export it so that it gives chances",
        )


def _finite(boxes: Boxes) -> Boxes:
    """Drop boxes without a place or a score: a model that overflows in float16 gives infinite ones."""
    return boxes.take(np.flatnonzero(np.isfinite(boxes.xyxy).all(axis=1) & np.isfinite(boxes.scores)))


def _numbered(rows: Array, head: Head, confidence: float) -> Boxes:
    """Read rows that begin with x1, y1, x2, y2, score, class; unused ones have score 0, or a class that is none."""
    rows = rows[(rows[:, 4] > confidence) & (rows[:, 5] >= head.labels.start) & (rows[:, 5] < head.labels.stop)]
    _refuse_no_chances(rows[:, 4])
    return _finite(Boxes(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)))
