"""Labels in YOLO's form: a text file a picture, a line an object, everything a share of the picture's size."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from attrs import frozen

from polyyolo import progress
from polyyolo.errors import LabelError, PictureError
from polyyolo.files import refuse_endless
from polyyolo.images.choose import remedy
from polyyolo.images.copies import repeats
from polyyolo.images.sources import find_pictures, is_picture
from polyyolo.records import Skipped
from polyyolo.verification.class_lists import LISTED, classes_of
from polyyolo.verification.truth import Labelled, Truth, complain
from polyyolo.wording import counted

SLACK = 0.001
"""How far a value may lie outside 0 to 1: labelling tools round."""
FIX = "correct the lines; polyyolo reads 'class cx cy width height', each but the class from 0 to 1"
BEYOND = "but the model has"
OTHERS = (
    "where they were made with another list of classes, name the data.yaml that has it: classes are matched by name"
)
MANY = 0.5
"""Share of pictures without labels from which on these may have been forgotten; COCO has 1% of background."""


@frozen
class Line:
    """A line of a label file, by its number of a class; or what is wrong with it."""

    place: str = ""
    label: int = 0
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    mistake: str = ""


def read_yolo(source: Path, names: Sequence[str], classes: int, images: Path | None = None) -> Labelled:
    """Read ``class cx cy width height`` lines, or polygons (``class x y x y x y ...``), which become boxes.

    A line that repeats another of its file counts once, as in training.

    A picture's label file has its name with .txt, in the folder ``labels`` that stands where ``images`` does in its
    path, or beside the picture. A picture without one is background, as YOLOv5 has it.

    Args:
        source: a folder with images/ and labels/, a data.yaml (its ``val``), or a list of pictures. Classes are matched
            by name where a data.yaml or classes.txt has the labels' list of them.
        names: the model's class names, or none.
        classes: how many classes the model has; 0 where unknown.
        images: what names the pictures, where ``source`` is a folder of label files alone.

    Raises:
        LabelError: no picture has a label file, or lines are wrong: each is named with file and line; or ``images``
            names other pictures than a data.yaml or a list does.
        PictureError: there are no pictures.
    """
    if images and not source.is_dir():
        raise LabelError(
            f"{source} names its pictures, and --images {images} others",
            fix="leave --images out, or name the folder of the label files with --labelled",
        )
    own_pictures = source / "images" if (source / "images").is_dir() else source
    pictures = find_pictures(images or own_pictures, split="val")
    apart = images if source.is_dir() else None
    files = [_label_in(source, picture, apart) if apart else _label_file(picture) for picture in pictures]
    if apart:
        _refuse_shared(pictures, files)
    if not any(file.is_file() for file in files):
        if not any(picture.exists() for picture in pictures):
            missing = tuple(Skipped(picture, "No such file or directory") for picture in pictures)
            raise PictureError(f"none of the {len(pictures)} pictures of {source} is there", fix=remedy(missing))
        fix = "put YOLO labels into a folder labels beside images, with the names of the pictures"
        of = images or source
        raise LabelError(
            f"none of the {len(pictures)} pictures of {of} has a label file: {files[0]} would be the first",
            fix=f"name the pictures of these labels with --images, or leave it out; or {fix}" if images else fix,
        )
    _warn_of_missing(source, files)
    _warn_of_strays(pictures, {file.parent for file in files if apart or file.parent.name == "labels"})
    read = [tuple(_lines(file)) for file in files]
    used = {line.label for lines in read for line in lines if not line.mistake}
    own, mapping = classes_of(source, names, classes, used)
    mistakes: list[str] = []
    truths = tuple(tuple(_objects(lines, mapping, classes, mistakes)) for lines in read)
    others = any(BEYOND in each for each in mistakes)
    complain(mistakes, f"{FIX}; {OTHERS}" if others else FIX)
    single = tuple(tuple(dict.fromkeys(objects)) for objects in truths)
    _warn_of_repeats(source, [file for file, all_, each in zip(files, truths, single, strict=True) if all_ != each])
    return Labelled(pictures, single, tuple(names or own.values()), relative=True)


def _label_file(picture: Path) -> Path:
    """Where a picture's labels are, or should be."""
    beside = picture.with_suffix(".txt")
    parts = list(beside.parts)
    if "images" not in parts[:-1]:
        return beside
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    mirrored = Path(*parts)
    return beside if beside.is_file() and not mirrored.is_file() else mirrored


def _label_in(folder: Path, picture: Path, images: Path) -> Path:
    """Where a picture's labels are in a folder of label files, or in its folder ``labels``: in the same folder there.

    One that has no label file so may have one by its name alone.
    """
    below = folder / "labels" if (folder / "labels").is_dir() else folder
    name = f"{picture.stem}.txt"
    mirrored = below / picture.relative_to(images).with_name(name) if images in picture.parents else below / name
    return mirrored if mirrored.is_file() else below / name


def _refuse_shared(pictures: Sequence[Path], files: Sequence[Path]) -> None:
    """Refuse a label file that would be that of several pictures.

    Raises:
        LabelError: as above.
    """
    for (picture, file), (other, _) in repeats(zip(pictures, files, strict=True), key=itemgetter(1)):
        if file.is_file():
            raise LabelError(
                f"{file} would be the labels of {other} and of {picture}",
                fix="put the label files into folders as the pictures are, or give the pictures names of their own",
            )


def _warn_of_missing(source: Path, files: Sequence[Path]) -> None:
    """Tell where so many pictures have no label file that not all of them may be background."""
    missing = [file for file in files if not file.is_file()]
    if len(missing) >= MANY * len(files):
        progress.warn(
            f"{len(missing)} of the {len(files)} pictures of {source} have no label file and count as background, "
            f"{missing[0]} would be the first",
            fix="add their labels, or leave these pictures out where something is on them",
        )


def _warn_of_strays(pictures: Sequence[Path], folders: Collection[Path]) -> None:
    """Tell of label files that no picture has, nor one beside those that are used: a list may name some of a folder."""
    beside = {
        path.stem
        for folder in {picture.parent for picture in pictures}
        for path in folder.glob("*")
        if is_picture(path)
    }
    known = {f"{stem}.txt" for stem in (*beside, Path(LISTED).stem)}
    strays = [
        file
        for folder in sorted(folders)
        for file in folder.glob("*")
        if file.suffix.lower() == ".txt" and file.name not in known
    ]
    if strays:
        progress.warn(
            f"{counted(len(strays), 'label file has', 'label files have')} no picture, {min(strays)} first",
            fix="add the pictures, or remove the label files",
        )


def _warn_of_repeats(source: Path, files: Sequence[Path]) -> None:
    """Tell of label files that have a line twice."""
    if files:
        progress.warn(
            f"objects are there twice in {counted(len(files), 'label file')} of {source}, {files[0]} first: "
            "each counts once",
            fix="remove the repeated lines",
        )


def _lines(file: Path) -> Iterator[Line]:
    """Read one label file; of one that cannot be read, a line tells why."""
    if not file.exists():
        return
    try:
        refuse_endless(file)
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        yield Line(mistake=f"cannot read {file}: {error}")
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{file}:{number}"
        try:
            yield Line(place, *_object(line))
        except ValueError as error:
            yield Line(mistake=f"{place}: {error}")


def _objects(
    lines: Iterable[Line], mapping: Mapping[int, int] | None, classes: int, mistakes: list[str]
) -> Iterator[Truth]:
    """Give the objects of one label file; what is wrong with a line is appended to ``mistakes``."""
    for line in lines:
        if line.mistake:
            mistakes.append(line.mistake)
            continue
        try:
            yield Truth(_known(line.label, mapping, classes), line.box)
        except ValueError as error:
            mistakes.append(f"{line.place}: {error}")


def _known(label: int, mapping: Mapping[int, int] | None, classes: int) -> int:
    """Turn the class of a line into the model's."""
    if mapping is not None and label not in mapping:
        raise ValueError(f"class {label} is not among the {len(mapping)} names")
    if mapping is None and classes and label >= classes:
        raise ValueError(f"class {label}, {BEYOND} {classes} (0 to {classes - 1})")
    return label if mapping is None else mapping[label]


def _object(line: str) -> tuple[int, tuple[float, float, float, float]]:
    """Read one line.

    Returns:
        The class, and x and y of the upper left corner, width and height as shares.

    Raises:
        ValueError: what is wrong with the line.
    """
    values = [float(word) for word in line.split()]
    if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
        raise ValueError(f"{len(values)} columns, not 5 (class cx cy width height) or a class and 3 or more points")
    label, places = values[0], values[1:]
    if not math.isfinite(label) or label != int(label) or label < 0:
        raise ValueError(f"class {label} is no whole number from 0")
    outside = [place for place in places if not -SLACK <= place <= 1 + SLACK]
    if outside:
        raise ValueError(f"{outside[0]} is outside 0 to 1")
    if len(places) > 4:
        return int(label), _around(places[0::2], places[1::2])
    across, down, width, height = places
    return int(label), (across - width / 2, down - height / 2, width, height)


def _around(across: Sequence[float], down: Sequence[float]) -> tuple[float, float, float, float]:
    """The box around a polygon."""
    return min(across), min(down), max(across) - min(across), max(down) - min(down)
