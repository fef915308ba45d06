"""Heads that are the last convolutions' maps of YOLOv8 and later: box distributions before class scores, undecoded."""

import onnx

from polyyolo.models.outline import Outline
from polyyolo.models.raw import MOVES, Maps, maps_of
from polyyolo.models.trail import trail_to
from polyyolo.records import Head, HeadKind

SIDES = 4
USUAL_BINS = 16
USUAL = frozenset({1, USUAL_BINS})


def raw_v8_head(outline: Outline, *, asked: bool = False) -> Head | None:
    """Find maps of 4 * bins + C channels, each a Concat of two convolutions: of the boxes and of the class scores.

    How many bins a side has, the first convolution tells; where it does not, the class names, else there are 16.
    """
    maps = maps_of(outline)
    if maps is None or maps.anchors or (not asked and (len(maps.outputs) < 2 or not _joined(outline, maps))):
        return None
    bins, origin = _bins(outline, maps)
    classes = maps.channels - SIDES * bins
    if not bins or classes < 1 or (not asked and outline.names and classes != len(outline.names)):
        return None
    return Head(
        kind=HeadKind.V8_RAW,
        classes=classes,
        outputs=maps.outputs,
        strides=maps.strides,
        bins=bins,
        why=(
            f"{len(maps.outputs)} maps of {SIDES} x {bins} + {classes} channels at strides "
            f"{', '.join(map(str, maps.strides))}, {origin}"
        ),
        doubt=(
            ""
            if outline.names or bins in USUAL
            else f"nothing but {SIDES} x {bins} channels that come first tells boxes from class scores in its maps"
        ),
    )


def _joined(outline: Outline, maps: Maps) -> bool:
    """Whether each map joins the outputs of two convolutions, and nothing else is done to them."""
    trails = [outline.trails[name] for name in maps.outputs]
    return all(
        len(trail.convs) == 2 and trail.ops <= MOVES | {"Concat", "Constant"} and _concat(trail.between) is not None
        for trail in trails
    )


def _concat(nodes: tuple[onnx.NodeProto, ...]) -> onnx.NodeProto | None:
    return next((node for node in nodes if node.op_type == "Concat" and len(node.input) == 2), None)


def _bins(outline: Outline, maps: Maps) -> tuple[int, str]:
    """Tell how many bins the distance to a side is spread over, and how that is known; 0 where it cannot be."""
    widths = {_first_width(outline, name) for name in maps.outputs}
    if len(widths) == 1 and (width := widths.pop()):
        return (width // SIDES if width % SIDES == 0 else 0), "each of one convolution's boxes and another's scores"
    boxes = maps.channels - len(outline.names)
    if outline.names and boxes > 0 and boxes % SIDES == 0:
        return boxes // SIDES, f"since the metadata names {len(outline.names)} classes"
    return USUAL_BINS, f"where {USUAL_BINS} bins a side, as usual, are assumed"


def _first_width(outline: Outline, output: str) -> int:
    """Count the channels of what a map joins first; 0 where they are not known."""
    trail = outline.trails[output]
    concat = _concat(trail.between)
    if concat is None:
        return 0
    convs = trail_to(concat.input[0], (*trail.convs, *trail.between)).convs
    return outline.channels.get(convs[0].output[0], 0) if len(convs) == 1 else 0
