"""Which classes the numbers in YOLO's label files stand for: a data.yaml's, or those of a classes.txt beside labels."""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path

from polyyolo import progress
from polyyolo.errors import LabelError, PictureError
from polyyolo.files import real
from polyyolo.images.sources import read_data_yaml, split_place
from polyyolo.verification.truth import to_model_classes
from polyyolo.wording import counted

YAML = frozenset({".yaml", ".yml"})
SPLITS = "train", "val", "test"
LISTED = "classes.txt"
ABOVE = 3
"""So many folders above the labels may hold the data.yaml that is about them."""


def classes_of(
    source: Path, names: Sequence[str], classes: int, used: Collection[int]
) -> tuple[Mapping[int, str], Mapping[int, int] | None]:
    """Find which classes labels are about, and match them with the model's.

    A data.yaml that is named must fit. One that is found beside labels, or a classes.txt, as labelImg and Label Studio
    write it, may be another's: where it does not fit, a warning says so, and numbers are the model's.

    Args:
        source: of the labels, as ``read_yolo`` takes it.
        names: the model's, or none.
        classes: how many the model has; 0 where unknown.
        used: the numbers that labels have.

    Returns:
        Names by number, none where nothing tells them; and the model's index of each, None where numbers are these.

    Raises:
        LabelError: the data.yaml that is named does not fit.
        PictureError: it cannot be read.
    """
    if source.suffix.lower() in YAML:
        own = names_in(source)
        return own, to_model_classes(source, own, names, classes, used=used) if own else None
    place = _found(source)
    if place is None:
        return {}, None
    try:
        own = names_in(place)
        _refuse_beyond(place, own, used)
        return own, to_model_classes(place, own, names, classes, used=used)
    except (LabelError, PictureError) as error:
        progress.warn(
            f"{error.message}: classes of the labels are taken by their numbers",
            f"correct {place}, or remove it where it is not about these labels",
        )
        return {}, None


def _refuse_beyond(place: Path, own: Mapping[int, str], used: Collection[int]) -> None:
    beyond = sorted(set(used) - own.keys())
    if beyond:
        raise LabelError(f"{place} names {counted(len(own), 'class', 'classes')}, and labels have class {beyond[0]}")


def _found(source: Path) -> Path | None:
    """Find a list of classes that is about labels: a data.yaml with their pictures, or classes.txt beside them."""
    own = [source] if source.is_dir() else []
    yamls = [folder / "data.yaml" for folder in (*own, *islice(source.absolute().parents, ABOVE))]
    lists = [folder / LISTED for each in own for folder in (each / "labels", each)]
    about = [*(each for each in yamls if _is_about(source, each)), *(each for each in lists if each.is_file())]
    return next(iter(about), None)


def _is_about(source: Path, listing: Path) -> bool:
    """Whether a data.yaml names classes, and the pictures of ``source``."""
    try:
        data = read_data_yaml(listing) if listing.is_file() else {}
    except PictureError:
        return False
    entries = [entry for key in SPLITS for entry in _listed(data.get(key)) if isinstance(entry, str)]
    places = [real(split_place(listing, data, entry)) for entry in entries]
    meant = {real(source), real(Path(*("images" if part == "labels" else part for part in source.absolute().parts)))}
    return bool(data.get("names")) and any(meant & {place, *place.parents} for place in places)


def _listed(entries: object) -> Sequence[object]:
    return entries if isinstance(entries, list) else [entries]


def names_in(source: Path) -> Mapping[int, str]:
    """Class names that a data.yaml or a classes.txt gives, by index.

    Raises:
        LabelError: they are no list or mapping, or the file is no text.
    """
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
