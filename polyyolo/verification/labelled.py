"""Labelled pictures, in whichever form people keep them."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from attrs import evolve

from polyyolo import progress
from polyyolo.errors import LabelError, PictureError
from polyyolo.images.ahead import ahead
from polyyolo.images.choose import naming
from polyyolo.images.reading import decode, read_bytes
from polyyolo.records import Skipped
from polyyolo.verification.coco_labels import read_coco
from polyyolo.verification.truth import Labelled, Truth
from polyyolo.verification.yolo_labels import read_yolo

__all__ = ["Labelled", "Truth", "read_labelled"]


def read_labelled(source: Path, names: Sequence[str] = (), *, classes: int = 0) -> Labelled:
    """Read what is in which pictures; everything is checked now, so that nothing breaks in the middle of a measurement.

    A picture that cannot be used is left out with its labels, and named.

    Args:
        source: a folder with images/ and labels/ in YOLO's form, a data.yaml (its ``val``), a list of pictures, or
            a COCO JSON.
        names: the model's class names by index, or none.
        classes: how many classes the model has; their names' number where it is left out.

    Raises:
        LabelError: no such source, labels that cannot be read or that do not fit the pictures or the model.
        PictureError: there are no pictures, or none that can be used.
    """
    if not source.exists():
        raise LabelError(
            f"no such file or folder: {source}",
            fix="name a folder with images/ and labels/, a data.yaml or a COCO JSON",
        )
    read = read_coco if source.suffix.lower() == ".json" else read_yolo
    return _usable(source, read(source, tuple(names), classes or len(names)))


def _usable(source: Path, labelled: Labelled) -> Labelled:
    """Decode each picture once: a damaged one must not end a run at its last step."""
    with closing(ahead(_flaw, labelled.pictures)) as found:
        flaws = list(progress.track(found, "check labelled pictures", len(labelled.pictures)))
    pairs = list(zip(labelled.pictures, flaws, strict=True))
    skipped = tuple(Skipped(path, flaw) for path, flaw in pairs if flaw)
    if len(skipped) == len(pairs):
        raise PictureError(
            f"none of the {len(pairs)} labelled pictures of {source} can be used: {naming(skipped)}",
            fix="give pictures that open in an image viewer",
        )
    if not skipped:
        return labelled
    progress.warn(
        f"{len(skipped)} of {len(pairs)} labelled pictures cannot be used: {naming(skipped)}",
        "accuracy is measured without them and their labels",
    )
    return evolve(
        labelled,
        pictures=tuple(path for path, flaw in pairs if not flaw),
        truths=tuple(truths for truths, flaw in zip(labelled.truths, flaws, strict=True) if not flaw),
    )


def _flaw(path: Path) -> str:
    """Say why a picture cannot be used; empty where it can."""
    try:
        decode(read_bytes(path))
    except PictureError as error:
        return error.message
    return ""
