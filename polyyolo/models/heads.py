"""Which family of YOLO outputs a model has, told by shapes, what leads to them and what comes out, never by names."""

import onnx

from polyyolo.errors import ModelError
from polyyolo.models.corners import corners_head
from polyyolo.models.decoded import BOX, best_class_head, decoded_head, end_to_end_head
from polyyolo.models.metadata import head_in
from polyyolo.models.outline import Outline, outline_of
from polyyolo.models.raw import not_decodable, raw_head
from polyyolo.models.raw_v8 import raw_v8_head
from polyyolo.models.seen_values import contradiction
from polyyolo.models.yolox import YOLOX, yolox_head
from polyyolo.records import ANCHORED, Head, HeadKind

ALONE = {
    HeadKind.END_TO_END: end_to_end_head,
    HeadKind.BEST_CLASS: best_class_head,
    HeadKind.CORNERS: corners_head,
    HeadKind.V8_RAW: raw_v8_head,
}
"""Families of one kind, each with what finds it."""


def recognise(model: onnx.ModelProto, *, head: HeadKind | None = None, look: bool = False) -> Head:
    """Tell the head family of ``model``, its classes, strides and anchors.

    Args:
        model: complete, as ``load`` gives it; it is run in ONNX Runtime where it does not declare its
            shapes, or where these leave the family open.
        head: the family, where the user knows better.
        look: whether to run the model, too, where shapes alone tell YOLOv5 or YOLOv8: what comes out may be neither.

    Raises:
        ModelError: no picture input, several, or outputs that do not fit the family asked for.
    """
    outline = outline_of(model)
    if head is HeadKind.NONE:
        return Head(kind=head, why="asked for: the outputs are compared, not decoded")
    claimed = head_in(outline.metadata)
    if head is None and claimed is HeadKind.NONE:
        return _none(outline)
    wanted = head or claimed
    found = _as(wanted, outline) if wanted else None
    if found or head is None:
        return found or _told(outline, look=look)
    raise ModelError(
        f"the outputs {_listed(outline)} do not fit the head {head.value}",
        fix="leave --head out, or take another of: " + ", ".join(kind.value for kind in HeadKind if kind is not head),
    )


def _told(outline: Outline, *, look: bool) -> Head:
    """Tell by structure alone, and where that leaves something open by what comes out."""
    families = (end_to_end_head, best_class_head, yolox_head, corners_head, decoded_head, raw_head, raw_v8_head)
    head = next((head for family in families if (head := family(outline))), None) or _none(outline)
    quantized = "DequantizeLinear" in outline.ops
    against = contradiction(outline, head) if look and not quantized and head.kind in BOX else ""
    return Head(kind=HeadKind.NONE, why=against) if against else head


def _as(kind: HeadKind, outline: Outline) -> Head | None:
    if kind in ALONE:
        return ALONE[kind](outline, asked=True)
    if kind in ANCHORED:
        return raw_head(outline, asked=kind)
    if kind in YOLOX:
        return yolox_head(outline, asked=kind)
    return decoded_head(outline, asked=kind)


def _none(outline: Outline) -> Head:
    unknown = "the outputs' shapes are neither declared nor found by running the model in ONNX Runtime"
    why = not_decodable(outline) or (f"no YOLO head: the outputs are {_listed(outline)}" if outline.shapes else unknown)
    return Head(kind=HeadKind.NONE, why=why)


def _listed(outline: Outline) -> str:
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in outline.shapes.items())
    return shapes or "of unknown shape"
