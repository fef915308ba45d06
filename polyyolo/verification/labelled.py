"""Labelled pictures, in whichever form people keep them."""

from collections.abc import Sequence
from pathlib import Path

from polyyolo.errors import LabelError
from polyyolo.verification.coco_labels import read_coco
from polyyolo.verification.truth import Labelled, Truth
from polyyolo.verification.yolo_labels import read_yolo

__all__ = ["Labelled", "Truth", "read_labelled"]


def read_labelled(source: Path, names: Sequence[str] = (), *, classes: int = 0) -> Labelled:
    """Read what is in which pictures; everything is checked now, so that nothing breaks in the middle of a measurement.

    Args:
        source: a folder with images/ and labels/ in YOLO's form, a data.yaml (its ``val``), a list of pictures, or
            a COCO JSON.
        names: the model's class names by index, or none.
        classes: how many classes the model has; their names' number where it is left out.

    Raises:
        LabelError: no such source, labels that cannot be read or that do not fit the pictures or the model.
        PictureError: there are no pictures.
    """
    if not source.exists():
        raise LabelError(
            f"no such file or folder: {source}",
            fix="name a folder with images/ and labels/, a data.yaml or a COCO JSON",
        )
    read = read_coco if source.suffix.lower() == ".json" else read_yolo
    return read(source, tuple(names), classes or len(names))
