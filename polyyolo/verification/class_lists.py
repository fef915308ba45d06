"""Which classes the numbers in YOLO's label files stand for: a data.yaml's, or those of a classes.txt beside labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from polyyolo.errors import LabelError
from polyyolo.files import real
from polyyolo.images.sources import read_data_yaml, split_place

YAML = frozenset({".yaml", ".yml"})
SPLITS = "train", "val", "test"
LISTED = "classes.txt"


def list_of_classes(source: Path) -> Path | None:
    """Find what names the classes of labels: the data.yaml itself; of a folder, that in it or one above it.

    labelImg and Label Studio write classes.txt beside the labels.
    """
    if source.suffix.lower() in YAML:
        return source
    if not source.is_dir():
        return None
    yamls = [folder / "data.yaml" for folder in (source, source.parent)]
    lists = [source / "labels" / LISTED, source / LISTED]
    about = [*(each for each in yamls if _is_about(source, each)), *(each for each in lists if each.is_file())]
    return next(iter(about), None)


def _is_about(folder: Path, source: Path) -> bool:
    """Whether a data.yaml names classes, and pictures in ``folder``."""
    if not source.is_file():
        return False
    data = read_data_yaml(source)
    entries = [entry for key in SPLITS for entry in _listed(data.get(key)) if isinstance(entry, str)]
    places = [real(split_place(source, data, entry)) for entry in entries]
    return bool(data.get("names")) and any(real(folder) in (place, *place.parents) for place in places)


def _listed(entries: object) -> Sequence[object]:
    return entries if isinstance(entries, list) else [entries]


def names_in(source: Path) -> Mapping[int, str]:
    """Class names that a data.yaml or a classes.txt gives, by index."""
    if source.name == LISTED:
        try:
            lines = source.read_text(encoding="utf-8-sig").rstrip().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise LabelError(f"cannot read {source}: {error}", fix="it must be a UTF-8 text file") from error
        return dict(enumerate(map(str.strip, lines)))
    names = read_data_yaml(source).get("names") or []
    pairs = names if isinstance(names, Mapping) else dict(enumerate(names if isinstance(names, list) else [None]))
    if not all(str(key).isdecimal() and isinstance(name, str | int | float) for key, name in pairs.items()):
        raise LabelError(
            f"the names in {source} are no list or mapping of classes",
            fix="write names: [person, bicycle], or a line as 0: person for each",
        )
    return dict(sorted((int(key), str(name)) for key, name in pairs.items()))
