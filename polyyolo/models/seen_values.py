"""What one black picture gives, where the shapes of a decoded head leave open what its numbers are."""

import numpy as np

from polyyolo.models.corners import FAR, SLACK, end_behind
from polyyolo.models.decoded import turned_axes
from polyyolo.models.outline import Outline
from polyyolo.models.probe import Array
from polyyolo.records import Head, HeadKind

BOX = 4
"""Numbers of a box before what may be its objectness."""


def contradiction(outline: Outline, head: Head) -> str:
    """Say why an output is not what its shape lets it be taken for; empty where it is, or the model cannot be run.

    Args:
        outline: of the model.
        head: decoded YOLOv5's or YOLOv8's, told by shape.
    """
    name = head.outputs[0]
    values = outline.run().get(name)
    if values is None or not np.isfinite(values).all():
        return ""
    rows = np.asarray(values[0].T if head.kind is HeadKind.V8 else values[0], np.float64)
    boxes, scores = rows[:, :BOX], rows[:, BOX : rows.shape[1] - head.extras]
    if scores.min() < -SLACK or scores.max() > 1 + SLACK:
        return (
            f"{name} has the shape of {head.kind.value}, but scores from {scores.min():.3g} to {scores.max():.3g}, no "
            "chances; export it with the sigmoid that makes chances of them, or with class names in the metadata where "
            "masks, keypoints or an angle stand behind the scores"
        )
    if boxes.max() < FAR:
        return (
            f"{name} has the shape of {head.kind.value}, but boxes in shares of the picture; export it with boxes in "
            "pixels"
        )
    if end_behind(boxes, max(outline.size)):
        return (
            f"{name} has the shape of {head.kind.value}, but corners of boxes; export it with centre and size, or with "
            "corners and scores in outputs of their own"
        )
    return _of_turned_rows(outline, head, scores)


def _of_turned_rows(outline: Outline, head: Head, scores: Array) -> str:
    """Say that boxes and features are the other way round: the first score is an objectness where it should be none.

    YOLOv6 has an objectness that is 1 everywhere. A convolution that gives all but four numbers of a row, and no more,
    gives class scores alone.
    """
    certain = bool((scores[:, 0] > 1 - SLACK).all())
    name = head.outputs[0]
    widths = {outline.channels.get(conv.output[0], 0) for conv in outline.trails[name].convs}
    if head.kind is HeadKind.V8 and certain and head.classes > 1:
        return turned_axes(name, "YOLOv6", "features before boxes")
    if head.kind is HeadKind.V5 and not certain and scores.shape[1] in widths:
        return turned_axes(name, "YOLOv8", "boxes before features")
    return ""
