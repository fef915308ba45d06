"""The numbers by which COCO's result format calls pictures and classes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from polyyolo.detection.shots import Shot
from polyyolo.errors import InputError
from polyyolo.records import ModelSpec


@frozen
class CocoIds:
    """Ids for one run.

    Attributes:
        categories: for each class of the model its id and its name.
        images: file name -> id; empty where pictures are counted from 1.
    """

    categories: tuple[tuple[int, str], ...]
    images: Mapping[str, int] = field(factory=dict)

    def image(self, shot: Shot) -> int:
        """The id of a picture or frame."""
        return self.images[shot.source.name] if self.images else shot.frame + 1

    def file_name(self, shot: Shot) -> str:
        """What it is called beside its id."""
        return shot.source.name if self.images else str(shot.source)


def counted(spec: ModelSpec) -> CocoIds:
    """Count pictures and classes from 1."""
    names = [*spec.names, *map(str, range(len(spec.names), spec.head.classes))]
    return CocoIds(tuple(enumerate(names, 1)))


def read_ids(source: Path, spec: ModelSpec, pictures: Sequence[Path]) -> CocoIds:
    """Take ids from a ground truth's JSON, such as instances_val2017.json or image_info_test-dev2017.json.

    Args:
        source: a JSON with COCO's ``images`` and ``categories``.
        spec: the model; a class finds its category by name, or by the order of ids where the model has no names.
        pictures: which find their images by file name.

    Raises:
        InputError: it is no such JSON, or it lacks a picture or a class.
    """
    images = {Path(row["file_name"]).name: row["id"] for row in _rows(source, "images", "file_name")}
    missing = [path.name for path in pictures if path.name not in images]
    if missing:
        raise InputError(
            f"{source} has no image {missing[0]!r}, and {len(missing)} of the {len(pictures)} pictures are not in it",
            fix="name the JSON that these pictures belong to, or leave --coco-ids out: they are counted from 1 then",
        )
    rows = sorted(_rows(source, "categories", "name"), key=lambda row: int(row["id"]))
    return CocoIds(_categories(source, spec, [(row["id"], row["name"]) for row in rows]), images)


def _categories(source: Path, spec: ModelSpec, theirs: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    by_name = {name.strip().lower(): (key, name) for key, name in theirs}
    unknown = [name for name in spec.names if name.strip().lower() not in by_name]
    if unknown or (not spec.names and len(theirs) != spec.head.classes):
        told = f"no category {unknown[0]!r}" if unknown else f"{len(theirs)} categories"
        raise InputError(
            f"{source} has {told}, and the model has {spec.head.classes} classes",
            fix="name the JSON of the classes that the model was trained on, or leave --coco-ids out",
        )
    return tuple(by_name[name.strip().lower()] for name in spec.names) or tuple(theirs)


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
