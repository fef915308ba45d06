"""Labelled pictures, in whichever form people keep them."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from attrs import evolve

from polyyolo import progress
from polyyolo.errors import LabelError, PictureError
from polyyolo.images.ahead import ahead
from polyyolo.images.choose import naming, remedy
from polyyolo.images.reading import decode, read_bytes
from polyyolo.records import Skipped
from polyyolo.verification.coco_labels import read_coco
from polyyolo.verification.truth import Labelled, Truth
from polyyolo.verification.yolo_labels import read_yolo
from polyyolo.wording import counted

__all__ = ["Labelled", "Truth", "read_labelled"]


def read_labelled(source: Path, names: Sequence[str] = (), *, classes: int = 0, images: Path | None = None) -> Labelled:
    """Read what is in which pictures; everything is checked now, so that nothing breaks in the middle of a measurement.

    A picture that cannot be used is left out with its labels, and named.

    Args:
        source: a folder with images/ and labels/ in YOLO's form, a data.yaml (its ``val``), a list of pictures, or
            a COCO JSON.
        names: the model's class names by index, or none.
        classes: how many classes the model has; their names' number where it is left out.
        images: where the pictures are, if not where the labels say or usually have them: a folder for a COCO JSON;
            anything that names pictures where ``source`` is a folder of YOLO's label files.

    Raises:
        LabelError: no such source, labels that cannot be read, that do not fit the pictures or the model, or that
            name no object.
        PictureError: there are no pictures, or none that can be used.
    """
    if not source.exists():
        raise LabelError(
            f"no such file or folder: {source}",
            fix="name a folder with images/ and labels/, a data.yaml or a COCO JSON",
        )
    read = read_coco if source.suffix.lower() == ".json" else read_yolo
    labelled = read(source, tuple(names), classes or len(names), images)
    usable = set(usable_pictures(source, labelled.pictures, "labelled pictures"))
    kept = [place for place, path in enumerate(labelled.pictures) if path in usable]
    truths = tuple(labelled.truths[place] for place in kept)
    if not any(truths):
        raise LabelError(
            f"{source} labels nothing: no object is labelled on {counted(len(kept), 'picture')} that can be used",
            fix="give the labels of these pictures, or leave them out: accuracy is not measured then",
        )
    return evolve(labelled, pictures=tuple(labelled.pictures[place] for place in kept), truths=truths)


def usable_pictures(source: Path, pictures: Sequence[Path], kind: str = "pictures") -> tuple[Path, ...]:
    """Decode each picture once: a damaged one must not end a run at its last step.

    Args:
        source: where they are from, for messages.
        pictures: files, in order.
        kind: what they are called in messages.

    Returns:
        Those that can be used; a warning names the others.

    Raises:
        PictureError: there is none.
    """
    with closing(ahead(_flaw, pictures)) as found:
        flaws = list(progress.track(found, f"check {kind}", len(pictures)))
    skipped = tuple(Skipped(path, flaw) for path, flaw in zip(pictures, flaws, strict=True) if flaw)
    if len(skipped) == len(pictures):
        raise PictureError(
            f"none of the {len(pictures)} {kind} of {source} can be used: {naming(skipped)}",
            fix=remedy(skipped),
        )
    if skipped:
        progress.warn(
            f"{len(skipped)} of {len(pictures)} {kind} cannot be used: {naming(skipped)}",
            "the figures are measured without them and their labels",
        )
    return tuple(path for path, flaw in zip(pictures, flaws, strict=True) if not flaw)


def _flaw(path: Path) -> str:
    """Say why a picture cannot be used; empty where it can."""
    try:
        decode(read_bytes(path))
    except PictureError as error:
        return error.message
    return ""
