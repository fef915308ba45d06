"""Labels in COCO's form: one JSON for all pictures, boxes in pixels."""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from polyyolo import progress
from polyyolo.errors import LabelError
from polyyolo.images.copies import repeats
from polyyolo.verification.truth import Labelled, Truth, complain, to_model_classes
from polyyolo.wording import counted

OUTLINE: Mapping[str, Mapping[str, type]] = {
    "images": {"id": int, "file_name": str},
    "annotations": {},
    "categories": {"id": int, "name": str},
}
"""What each list of the JSON must hold; annotations are checked one by one, so that a wrong one can be named."""


def read_coco(source: Path, names: Sequence[str], classes: int, images: Path | None = None) -> Labelled:
    """Read an instances JSON; its pictures lie beside it, in images/ beside or above it, or in a folder of its name.

    Category ids become class indices by name where the model knows all names, else by the order of the ids. Where
    ``images`` names a folder, the pictures are looked for there first.

    Raises:
        LabelError: it is no COCO JSON, pictures are missing, or annotations are wrong: each is named by its place.
    """
    data = _read(source)
    categories = {category["id"]: category["name"] for category in data["categories"]}
    used = {row["category_id"] for row in data["annotations"] if _has(row, {"category_id": int})}
    mapping = to_model_classes(source, categories, names, classes, used=used)
    files = {image["id"]: image["file_name"] for image in data["images"]}
    truths: defaultdict[int, list[Truth]] = defaultdict(list)
    mistakes: list[str] = []
    for place, annotation in enumerate(data["annotations"]):
        wrong = [f"{source}: annotations[{place}]: {mistake}" for mistake in _mistakes(annotation, files, mapping)]
        mistakes += wrong
        if not wrong:
            truths[annotation["image_id"]].append(_truth(annotation, mapping))
    complain(mistakes, fix="correct the annotations, or export them again as COCO instances")
    pictures = _locate(source, list(files.values()), images)
    _refuse_twins(source, pictures, list(files))
    single = {image: tuple(dict.fromkeys(objects)) for image, objects in truths.items()}
    repeats = sum(len(objects) - len(single[image]) for image, objects in truths.items())
    if repeats:
        progress.warn(
            f"{counted(repeats, 'annotation')} of {source} repeats another: each object counts once",
            fix="remove the repeated annotations",
        )
    ordered = tuple(names) or tuple(categories[key] for key in sorted(categories))
    sizes = {image["id"]: size for image in data["images"] if (size := _size(image))}
    stated = {path: sizes[image] for path, image in zip(pictures, files, strict=True) if image in sizes}
    return Labelled(pictures, tuple(single.get(image, ()) for image in files), ordered, stated=stated)


def _read(source: Path) -> Mapping[str, Any]:
    """Read the file and check its outline."""
    try:
        data = json.loads(source.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise LabelError(f"cannot read {source}: {error}", fix="give a COCO instances JSON") from error
    for key, fields in OUTLINE.items():
        rows = data.get(key) if isinstance(data, dict) else None
        if not isinstance(rows, list) or not all(_has(row, fields) for row in rows):
            raise LabelError(
                f"{source} is no COCO instances JSON: {key!r} must be a list of objects"
                + (f" with {' and '.join(sorted(fields))}, an id being a whole number" if fields else ""),
                fix="give a file with images, annotations and categories",
            )
    for key in ("images", "categories"):
        (number, times), *_ = Counter(row["id"] for row in data[key]).most_common(1) or [(0, 0)]
        if times > 1:
            raise LabelError(
                f"{source} has {times} {key} with the id {number}",
                fix="give each an id of its own; files that were joined may have had the same",
            )
    return dict(data)


def _has(row: object, fields: Mapping[str, type]) -> bool:
    return isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in fields.items())


def _mistakes(annotation: object, images: Mapping[int, str], mapping: Mapping[int, int]) -> Iterator[str]:
    """Say what is wrong with an annotation."""
    if not isinstance(annotation, dict):
        yield "no object"
        return
    image, category, box, area, crowd = map(annotation.get, ("image_id", "category_id", "bbox", "area", "iscrowd"))
    for name, number, known, what in (
        ("image_id", image, images, "images"),
        ("category_id", category, mapping, "categories"),
    ):
        if not isinstance(number, int):
            yield f"{name} {number!r} is no whole number"
        elif number not in known:
            yield f"{name} {number} is not among the {len(known)} {what}"
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_finite, box)) and min(box[2:]) >= 0):
        yield f"bbox {box} is not x, y, width, height in pixels"
    if area is not None and not (_is_finite(area) and area >= 0):
        yield f"area {area!r} is not a number of pixels, 0 or more"
    if crowd not in (None, 0, 1):
        yield f"iscrowd {crowd!r} is not 0 or 1"


def _is_finite(value: object) -> bool:
    """Whether it is a number that a float holds; JSON's whole numbers may be longer."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """The height and width of a picture; None where they are no numbers of pixels, as in JSONs that leave them at 0."""
    height, width = image.get("height"), image.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0 else None


def _truth(annotation: Mapping[str, Any], mapping: Mapping[int, int]) -> Truth:
    left, top, width, height = map(float, annotation["bbox"])
    return Truth(
        mapping[annotation["category_id"]],
        (left, top, width, height),
        float(annotation.get("area") or 0),
        bool(annotation.get("iscrowd")),
    )


def _locate(source: Path, names: Sequence[str], images: Path | None) -> tuple[Path, ...]:
    """Find the pictures that the JSON names.

    Raises:
        LabelError: some are in none of the folders where they usually are, or the one that was named is no folder.
    """
    if images and not images.is_dir():
        raise LabelError(
            f"{images} is no folder, where the pictures of {source} should be", fix="name the folder that holds them"
        )
    usual = [folder for folder in _folders(source) if folder.is_dir()]
    folders = [images, *usual] if images else usual
    found = [_first(folders, name) for name in names]
    missing = [name for name, path in zip(names, found, strict=True) if path is None]
    if missing:
        raise LabelError(
            f"{len(missing)} of {len(names)} pictures of {source} are not there: {missing[0]} is in none of "
            + ", ".join(map(str, folders)),
            fix="put the pictures, or a link to their folder, beside the JSON as images; polyyolo verify also takes "
            "their folder as --images",
        )
    return tuple(path for path in found if path is not None)


def _refuse_twins(source: Path, pictures: Sequence[Path], ids: Sequence[int]) -> None:
    """Refuse a picture that is there under two ids, with the objects of both apart.

    Raises:
        LabelError: as above.
    """
    for (path, image), (_, other) in repeats(zip(pictures, ids, strict=True), key=itemgetter(0)):
        raise LabelError(
            f"{source} has {path} twice, as the images {other} and {image}",
            fix="give each picture one id; files that were joined may have had the same names",
        )


def _folders(source: Path) -> Iterator[Path]:
    """Where a COCO JSON's pictures usually are, likeliest first; instances_val2017 belongs to val2017."""
    beside, above = source.parent, source.parent.parent
    for base in (beside, above):
        yield base
        yield base / "images"
        for name in (source.stem, source.stem.split("_")[-1]):
            yield base / name
            yield base / "images" / name


def _first(folders: Sequence[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
