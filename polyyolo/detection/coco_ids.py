"""The numbers by which COCO's result format calls pictures and classes."""

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from attrs import field, frozen

from polyyolo.detection.shots import Shot
from polyyolo.errors import InputError
from polyyolo.records import ModelSpec
from polyyolo.verification.truth import places_of

INSTEAD = "or leave --coco-ids out: they are counted from 1 then"


@frozen
class CocoIds:
    """Ids for one run.

    Attributes:
        categories: for each class of the model its id and its name.
        images: for each picture its id and its file name in a ground truth; none where pictures are counted from 1.
    """

    categories: tuple[tuple[int, str], ...]
    images: Mapping[Path, tuple[int, str]] = field(factory=dict)

    def image(self, shot: Shot) -> int:
        """The id of a picture or frame."""
        return self.images[shot.source][0] if self.images else shot.frame + 1

    def file_name(self, shot: Shot) -> str:
        """What it is called beside its id."""
        return self.images[shot.source][1] if self.images else str(shot.source)

    def category(self, label: int) -> tuple[int, str] | None:
        """The id and the name of a class; None where the ground truth has none for it.

        A class without a name can be counted on: end-to-end models do not tell how many they have.
        """
        if label < len(self.categories):
            return self.categories[label]
        return None if self.images else (label + 1, str(label))


def counted(spec: ModelSpec) -> CocoIds:
    """Count pictures and classes from 1."""
    names = [*spec.names, *map(str, range(len(spec.names), spec.head.classes))]
    return CocoIds(tuple(enumerate(names, 1)))


def read_ids(source: Path, spec: ModelSpec, pictures: Sequence[Path]) -> CocoIds:
    """Take ids from a ground truth's JSON, such as instances_val2017.json or image_info_test-dev2017.json.

    Args:
        source: a JSON with COCO's ``images`` and ``categories``.
        spec: the model; a class finds its category by name, or by the order of ids where the model has no names.
        pictures: which find their images by file name, and where several are called alike by the folders before it.

    Raises:
        InputError: it is no such JSON, it lacks a picture or a class, or does not tell two pictures apart.
    """
    images = _images(source, pictures)
    rows = sorted(_rows(source, "categories", "name"), key=lambda row: int(row["id"]))
    return CocoIds(_categories(source, spec, [(row["id"], row["name"]) for row in rows]), images)


def _images(source: Path, pictures: Sequence[Path]) -> dict[Path, tuple[int, str]]:
    """Find the id and the file name of each picture."""
    called: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in _rows(source, "images", "file_name"):
        called[PurePath(row["file_name"]).name].append((row["id"], row["file_name"]))
    missing = [path.name for path in pictures if path.name not in called]
    if missing:
        raise InputError(
            f"{source} has no image {missing[0]!r}, and {len(missing)} of the {len(pictures)} pictures are not in it",
            fix=f"name the JSON that these pictures belong to, {INSTEAD}",
        )
    nearest = {path: _nearest(path, called[path.name]) for path in pictures}
    _refuse_unclear(source, nearest)
    return {path: image for path, (image,) in nearest.items()}


def _nearest(path: Path, images: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
    """Narrow the images of a picture's name down to those that share most of the folders before it."""
    parts = Path(os.path.abspath(path)).parts  # noqa: PTH100 - links stay as they are named
    for depth in range(2, len(parts)):
        closer = [(number, name) for number, name in images if PurePath(name).parts[-depth:] == parts[-depth:]]
        if not closer:
            break
        images = closer
    return images


def _refuse_unclear(source: Path, nearest: Mapping[Path, Sequence[tuple[int, str]]]) -> None:
    """Refuse a picture that may be either of two images, and an image that may be either of two pictures.

    Raises:
        InputError: as above.
    """
    fix = f"put the pictures into folders that are named as in the JSON, {INSTEAD}"
    owners: dict[int, Path] = {}
    for path, ((number, name), *others) in nearest.items():
        if others:
            raise InputError(
                f"{path} may be image {number} ({name}) of {source}, or {others[0][0]} ({others[0][1]})", fix=fix
            )
        if owners.setdefault(number, path) != path:
            raise InputError(f"{owners[number]} and {path} may both be image {number} ({name}) of {source}", fix=fix)


def _categories(source: Path, spec: ModelSpec, theirs: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    places = places_of(spec.names, [name for _, name in theirs])
    unknown = [name for name, place in zip(spec.names, places, strict=True) if place < 0]
    if unknown or (not spec.names and spec.head.classes not in (0, len(theirs))):
        told = f"no category {unknown[0]!r}" if unknown else f"{len(theirs)} categories"
        raise InputError(
            f"{source} has {told}, and the model has {spec.head.classes} classes",
            fix="name the JSON of the classes that the model was trained on, or leave --coco-ids out",
        )
    return tuple(theirs[place] for place in places) or tuple(theirs)


def _rows(source: Path, key: str, text: str) -> list[Mapping[str, Any]]:
    """Read one list of the JSON, whose rows have an ``id`` and a ``text``."""
    try:
        data = json.loads(source.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {source}: {error}", fix="give a COCO JSON with images and categories") from error
    rows = data.get(key) if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("id"), int) and isinstance(row.get(text), str) for row in rows
    ):
        raise InputError(
            f"{source} is no COCO JSON: {key!r} must be a list of objects with id and {text}",
            fix="give a file with images and categories",
        )
    return rows
