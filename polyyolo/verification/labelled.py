"""Labelled pictures, in whichever form people keep them."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from attrs import evolve

from polyyolo import progress
from polyyolo.errors import LabelError, PictureError
from polyyolo.images.ahead import ahead
from polyyolo.images.choose import naming, remedy
from polyyolo.images.copies import contents, repeats
from polyyolo.images.reading import decode, read_bytes
from polyyolo.records import Skipped
from polyyolo.verification.coco_labels import read_coco
from polyyolo.verification.truth import Labelled, Truth
from polyyolo.verification.yolo_labels import read_yolo
from polyyolo.wording import counted

__all__ = ["Labelled", "Truth", "read_labelled"]


FEW = 0.01
"""Share of boxes that may be wrong in any set of labels."""


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
    if not labelled.pictures:
        raise LabelError(f"{source} names no pictures", fix="give the labels of pictures that are there")
    usable = _sizes(source, labelled.pictures, "labelled pictures")
    _tell_of_sizes(source, labelled, usable)
    _tell_of_copies(source, tuple(usable))
    kept = [place for place, path in enumerate(labelled.pictures) if path in usable]
    truths = tuple(labelled.truths[place] for place in kept)
    if not any(truths):
        raise LabelError(
            f"{source} labels nothing: no object is labelled on {counted(len(kept), 'picture')} that can be used",
            fix="give the labels of these pictures, or leave them out: accuracy is not measured then",
        )
    measured = evolve(labelled, pictures=tuple(labelled.pictures[place] for place in kept), truths=truths)
    _tell_of_lost(source, measured, usable)
    return measured


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
    return tuple(_sizes(source, pictures, kind))


def _sizes(source: Path, pictures: Sequence[Path], kind: str) -> dict[Path, tuple[int, int]]:
    """Find height and width of each picture that can be used, as ``usable_pictures``."""
    with closing(ahead(_look, pictures)) as found:
        seen = dict(zip(pictures, progress.track(found, f"check {kind}", len(pictures)), strict=True))
    skipped = tuple(Skipped(path, flaw) for path, flaw in seen.items() if isinstance(flaw, str))
    if len(skipped) == len(seen):
        raise PictureError(
            f"none of the {len(pictures)} {kind} of {source} can be used: {naming(skipped)}",
            fix=remedy(skipped),
        )
    if skipped:
        progress.warn(
            f"{len(skipped)} of {len(pictures)} {kind} cannot be used: {naming(skipped)}",
            "the figures are measured without them and their labels",
        )
    return {path: size for path, size in seen.items() if not isinstance(size, str)}


def _look(path: Path) -> tuple[int, int] | str:
    """Find a picture's height and width, or say why it cannot be used."""
    try:
        height, width = decode(read_bytes(path)).shape[:2]
    except PictureError as error:
        return error.message
    return height, width


def _tell_of_copies(source: Path, pictures: Sequence[Path]) -> None:
    """Tell of pictures that are there twice: what is on them counts twice."""
    copies = list(repeats(pictures, key=contents(pictures).__getitem__))
    if copies:
        one, twin = copies[0]
        progress.warn(
            f"{len(copies)} of the {len(pictures)} labelled pictures of {source} repeat another one's bytes, as "
            f"{one.name} does {twin.name}",
            "remove the copies: what is on them counts twice",
        )


def _tell_of_lost(source: Path, labelled: Labelled, sizes: Mapping[Path, tuple[int, int]]) -> None:
    """Tell of boxes in pixels of which hardly anything is in their picture: they count as objects that nobody finds."""
    if labelled.relative:
        return
    objects = [
        (path, truth) for path, truths in zip(labelled.pictures, labelled.truths, strict=True) for truth in truths
    ]
    lost = [path for path, truth in objects if not _is_within(truth.box, sizes[path])]
    if len(lost) > FEW * len(objects):
        progress.warn(
            f"{counted(len(lost), 'box', 'boxes')} of the {len(objects)} of {source} lie outside of their pictures, "
            f"or have a side below a pixel, that of {lost[0].name} first",
            "write boxes as x, y, width, height in pixels of these pictures: no model finds what is not there",
        )


def _is_within(box: tuple[float, float, float, float], size: tuple[int, int]) -> bool:
    """Whether half of a box or more is in a picture of ``size`` (height, width), and has a pixel on each side."""
    left, top, width, height = box
    across = min(left + width, size[1]) - max(left, 0)
    down = min(top + height, size[0]) - max(top, 0)
    return min(width, height) >= 1 and min(across, down) > 0 and across * down >= width * height / 2


def _tell_of_sizes(source: Path, labelled: Labelled, sizes: Mapping[Path, tuple[int, int]]) -> None:
    """Tell where labels in pixels are of pictures of another size: boxes would lie elsewhere."""
    others = [path for path, size in labelled.stated.items() if sizes.get(path, size) != size]
    if others:
        (height, width), (stated_height, stated_width) = (each[others[0]] for each in (sizes, labelled.stated))
        progress.warn(
            f"{len(others)} of {len(sizes)} pictures have another size than {source} tells, {others[0].name} first: "
            f"{width}x{height}, not {stated_width}x{stated_height}",
            fix="give the pictures that were labelled: boxes in pixels lie elsewhere on others",
        )
