"""What labels say is in the pictures, and how a labeller's classes become the model's."""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from polyyolo import progress
from polyyolo.errors import LabelError
from polyyolo.wording import counted


@frozen
class Truth:
    """One labelled object.

    Attributes:
        label: class index of the model.
        box: x and y of the upper left corner, width and height: in pixels, or shares (see ``Labelled.relative``).
        area: in pixels, where the labels give one that is not width times height; 0 elsewhere.
        crowd: COCO's iscrowd: a group; detections in it count neither way.
    """

    label: int
    box: tuple[float, float, float, float]
    area: float = 0.0
    crowd: bool = False


@frozen
class Labelled:
    """Pictures and what is in each.

    Attributes:
        pictures: files, in order.
        truths: the objects of each picture; none is a background picture.
        names: class names by index; empty where neither the model nor the labels tell.
        relative: whether boxes are shares of the picture's width and height, as in YOLO's form.
        stated: height and width in pixels that the labels give pictures, where they tell.
    """

    pictures: tuple[Path, ...]
    truths: tuple[tuple[Truth, ...], ...]
    names: tuple[str, ...] = ()
    relative: bool = False
    stated: Mapping[Path, tuple[int, int]] = field(factory=dict)

    def name(self, label: int) -> str:
        """What class ``label`` is called; its number where it has no name."""
        return self.names[label] if label < len(self.names) else str(label)


def to_model_classes(
    source: Path, theirs: Mapping[int, str], names: Sequence[str], classes: int, *, used: Container[int] | None = None
) -> dict[int, int]:
    """Map a labeller's class ids to the model's indices: by name where all names are known, else by order.

    Args:
        source: the file with the classes, for messages.
        theirs: id -> name.
        names: the model's names by index, or none.
        classes: how many the model has; 0 where unknown.
        used: ids that labels have; others may be unknown to the model (exporters add one for "everything").

    Raises:
        LabelError: some names are unknown to the model, and the numbers of classes or the order of the others differ.
    """
    ordered = sorted(theirs)
    by_name = dict(zip(ordered, places_of([theirs[key] for key in ordered], names), strict=True))
    _warn_of_twins(source, theirs, by_name, used)
    unknown = [theirs[key] for key, place in by_name.items() if place < 0 and (used is None or key in used)]
    if not unknown:
        return {key: place for key, place in by_name.items() if place >= 0}
    if classes and len(theirs) != classes:
        raise LabelError(
            f"{source} has {len(theirs)} classes, the model {classes}, and none of those is called {unknown[0]!r}",
            fix="give labels of the classes that the model was trained on, named as the model names them",
        )
    others = f"{source} calls {counted(len(unknown), 'class', 'classes')} by names that the model does not have"
    by_order = {key: place for place, key in enumerate(ordered)}
    moved = [key for key, place in by_name.items() if 0 <= place != by_order[key]]
    if moved:
        raise LabelError(
            f"{others}, {unknown[0]!r} first, and has the rest in another order: {theirs[moved[0]]!r} is number "
            f"{by_order[moved[0]]} of its classes and {by_name[moved[0]]} of the model's",
            fix="name all of these classes as the model names them",
        )
    if names:
        progress.warn(
            f"{others}, {unknown[0]!r} first: classes are matched by their order",
            fix="check that both lists have the same order",
        )
    return by_order


def places_of(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    """Find classes by their names, else by their names in any case; -1 for one that is not there, or several times.

    Letters of plates are often classes that differ in nothing but the case. The same names in the same order are those.
    """
    if [name.strip() for name in wanted] == [name.strip() for name in names]:
        return [*range(len(names))]
    folds: tuple[Callable[[str], str], ...] = (str.strip, lambda name: name.strip().lower())
    found = [-1] * len(wanted)
    for fold in reversed(folds):  # as they are written comes last, and counts
        times = Counter(map(fold, names))
        index = {fold(name): place for place, name in enumerate(names)}
        found = [
            index[key] if times[key] == 1 else -1 if times[key] else before
            for key, before in zip(map(fold, wanted), found, strict=True)
        ]
    return found


def _warn_of_twins(
    source: Path, theirs: Mapping[int, str], by_name: Mapping[int, int], used: Container[int] | None
) -> None:
    """Tell of classes of the labels that count as one of the model's."""
    first: dict[int, int] = {}
    for key, place in sorted(by_name.items()):
        if place < 0 or (used is not None and key not in used):
            continue
        other = first.setdefault(place, key)
        if other != key:
            progress.warn(
                f"{source} has the classes {other}, {theirs[other]!r}, and {key}, {theirs[key]!r}: both count as class "
                f"{place} of the model",
                fix="give each class the name that the model has for it",
            )


def complain(mistakes: Sequence[str], fix: str) -> None:
    """Raise one error for all mistakes; the message tells the first five.

    Raises:
        LabelError: there is any mistake.
    """
    if not mistakes:
        return
    more = f"; and {len(mistakes) - 5} more" if len(mistakes) > 5 else ""
    raise LabelError("; ".join(mistakes[:5]) + more, fix=fix)
