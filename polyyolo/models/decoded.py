"""Heads of one output whose boxes are in pixels: decoded YOLOv5, YOLOv8 and later; and those with NMS inside."""

from attrs import evolve

from polyyolo.models.corners import boxes_and_scores
from polyyolo.models.metadata import keypoints_in, largest_stride_in, strides_in
from polyyolo.models.outline import GRIDS, Outline, grid_of
from polyyolo.records import Head, HeadKind

BOX = {HeadKind.V5: 5, HeadKind.V8: 4}
ROW = 6
"""Numbers of a box that comes with its class: corners, score, class."""


def end_to_end_head(outline: Outline, *, asked: bool = False) -> Head | None:
    """Find an output (B, N, 6) that a TopK or NonMaxSuppression chose; masks or keypoints may stand behind the class.

    How many numbers these are must be known: RT-DETR's rows have scores there. Or find the same in four outputs.
    """
    apart = _four_outputs(outline, asked=asked)
    if apart:
        return apart
    known = (0, _mask_channels(outline), keypoints_in(outline.metadata))
    for name, shape in outline.shapes.items():
        extras = shape[2] - ROW if len(shape) == 3 else -1
        if extras in known and (asked or outline.trails[name].selects):
            return Head(
                kind=HeadKind.END_TO_END,
                classes=len(outline.names),
                outputs=(name,),
                strides=_strides(outline, ()),
                extras=extras,
                why=(
                    f"{name} has {shape[1]} rows of {shape[2]} that the model itself chose: corners, score, class"
                    f"{_unread(extras)}"
                ),
            )
    return None


def _four_outputs(outline: Outline, *, asked: bool) -> Head | None:
    """Find how many boxes there are (B, 1), their corners (B, N, 4), scores (B, N) and, as integers, classes (B, N).

    TensorRT's EfficientNMS gives them so, and YOLO-NAS with NMS.
    """
    shapes = outline.shapes
    flat = [name for name, shape in shapes.items() if len(shape) == 2]
    boxes = [name for name, shape in shapes.items() if len(shape) == 3 and shape[2] == 4]
    whole = [name for name in flat if name in outline.integers]
    scores = [name for name in flat if name not in outline.integers]
    if (len(shapes), len(boxes), len(scores), len(whole)) != (4, 1, 1, 2):
        return None
    number, classes = sorted(whole, key=lambda name: shapes[name][1])
    rows = shapes[boxes[0]][1]
    lengths = [shapes[name][1] for name in (number, scores[0], classes)]
    if lengths != [1, rows, rows] or not (asked or outline.trails[boxes[0]].selects):
        return None
    return Head(
        kind=HeadKind.END_TO_END,
        classes=len(outline.names),
        outputs=(number, boxes[0], scores[0], classes),
        strides=_strides(outline, ()),
        why=f"{boxes[0]} has the corners of up to {rows} boxes that the model itself chose, and {number} counts them",
    )


def best_class_head(outline: Outline, *, asked: bool = False) -> Head | None:
    """Find an output (B, N, 6) with a row for each cell and anchor, of which an ArgMax gives the class."""
    for name, shape in outline.shapes.items():
        trail = outline.trails[name]
        grid = grid_of(shape[1], outline.size) if len(shape) == 3 and shape[2] == ROW else None
        if grid and (asked or ("ArgMax" in trail.ops and not trail.selects)):
            strides, anchors = grid
            return Head(
                kind=HeadKind.BEST_CLASS,
                classes=len(outline.names),
                outputs=(name,),
                strides=_strides(outline, strides),
                why=f"{name} has {shape[1]} rows of corners, best score and class, {outline.each(strides, anchors)}",
            )
    return None


def decoded_head(outline: Outline, *, asked: HeadKind | None = None) -> Head | None:
    """Find an output with one row (YOLOv5) or one column (YOLOv8) a cell and anchor.

    The longer axis is tried as that of the boxes first: 24 features of a pose model for pictures of 64 x 64 are also 6
    anchors in each of 4 cells of stride 32.
    """
    apart = {name for pair in boxes_and_scores(outline) for name in pair}
    found: list[Head] = []
    for name, shape in outline.shapes.items():
        if len(shape) != 3 or not (asked or (outline.trails[name].decodes and name not in apart)):
            continue
        likely = (HeadKind.V5, HeadKind.V8) if shape[1] >= shape[2] else (HeadKind.V8, HeadKind.V5)
        heads = (_read(outline, name, kind) for kind in ((asked,) if asked else likely))
        found += [head for head in heads if head][:1]
    if len(found) < 2:
        return next(iter(found), None)
    first, second = (head.outputs[0] for head in found[:2])
    doubt = f"{second} may hold the boxes as well as {first}, which is read: polyyolo surgeon drop-outputs drops one"
    return evolve(found[0], doubt=doubt)


def transposed_v8(outline: Outline) -> str | None:
    """Find an output that is YOLOv8's with its last two axes swapped, which nothing here decodes.

    RT-DETR has such rows too, as many as it has queries, and boxes that are no pixels.
    """
    for name, shape in outline.shapes.items():
        named = bool(outline.names) and len(shape) == 3 and shape[2] == 4 + len(outline.names)
        if named and grid_of(shape[1], outline.size):
            return name
    return None


def turned_axes(name: str, family: str, order: str) -> str:
    """Say that an output is a family's but for the order of its axes."""
    return f"{name} is {family}'s output with {order}; swap its last two axes to have it decoded"


def _read(outline: Outline, name: str, kind: HeadKind) -> Head | None:
    """Read ``name`` as a decoded head of ``kind``; None where its shape does not allow it.

    The number of boxes must fit the strides; where it does not (a picture size of odd cells, boxes already
    thinned out), the number of class names must fit the features. What the model chose, as RT-DETR its 300 queries,
    fits no strides but by chance: 3 anchors in each of 100 cells of stride 32.
    """
    _, rows, columns = outline.shapes[name]
    boxes, features = (rows, columns) if kind is HeadKind.V5 else (columns, rows)
    scores = features - BOX[kind]
    grid = None if outline.trails[name].selects else grid_of(boxes, outline.size)
    named = bool(outline.names) and scores == len(outline.names)
    if scores < 1 or boxes < 2 or not (grid or named) or _belongs_to_other(outline, kind, features, grid):
        return None
    strides, anchors = grid or ((), 0)
    classes = _classes(outline, scores)
    extras = scores - classes
    layout = f"{boxes} rows of 5 + {scores}" if kind is HeadKind.V5 else f"{boxes} columns of 4 + {scores}"
    return Head(
        kind=kind,
        classes=classes,
        outputs=(name,),
        strides=_strides(outline, strides),
        extras=extras,
        why=f"{name} has {layout}, {_origin(outline, strides, anchors)}{_unread(extras)}",
    )


def _belongs_to_other(
    outline: Outline, kind: HeadKind, features: int, grid: tuple[tuple[int, ...], int] | None
) -> bool:
    """Whether the shape fits ``kind`` but the names or the anchors a cell say otherwise."""
    if grid is None:
        return False
    if kind is HeadKind.V8:
        return grid[1] != 1
    return grid[1] == 1 and len(outline.names) == features - 4


def _origin(outline: Outline, strides: tuple[int, ...], anchors: int) -> str:
    if not strides:
        return f"and the metadata names {len(outline.names)} classes"
    return outline.each(strides, anchors)


def _unread(extras: int) -> str:
    return f"; the last {extras} are no classes (masks, keypoints or angles) and are not read" if extras else ""


def _classes(outline: Outline, scores: int) -> int:
    """Count the classes among the features after the box, to which a mask or keypoint model adds its own."""
    masks = _mask_channels(outline)
    if 0 < len(outline.names) < scores:
        return len(outline.names)
    return scores - masks if 0 < masks < scores else scores


def _mask_channels(outline: Outline) -> int:
    """Channels of a segmentation model's prototype map, which comes at a quarter of the picture's size; else 0."""
    height, width = outline.size
    maps = [shape for shape in outline.shapes.values() if len(shape) == 4]
    if len(maps) == 1 and maps[0][2:] == (height // 4, width // 4):
        return maps[0][1]
    return 0


def _strides(outline: Outline, found: tuple[int, ...]) -> tuple[int, ...]:
    told = strides_in(outline.metadata)
    if told or found:
        return told or found
    largest = largest_stride_in(outline.metadata)
    return next((grid for grid in GRIDS if grid[-1] == largest), ())
