"""What a detection is asked to do, checked before it begins."""

from collections.abc import Generator, Sequence
from enum import Enum
from pathlib import Path

from attrs import frozen

from polyyolo.detection.coco_ids import CocoIds, counted, read_ids
from polyyolo.detection.detector import Look
from polyyolo.detection.naming import result_names
from polyyolo.detection.shots import Shot, picture_shots
from polyyolo.detection.video import Video, is_video, read_video, video_shots
from polyyolo.errors import InputError, ModelError
from polyyolo.files import real
from polyyolo.images.sources import find_pictures
from polyyolo.models.spec import refuse_headless
from polyyolo.records import Preprocessing, Skipped
from polyyolo.verification.engine_session import engine_of, refuse_without_gpu


class Form(str, Enum):
    """What can be written: drawn pictures or a drawn video, and the boxes in three forms."""

    PICTURES = "pictures"
    JSON = "json"
    YOLO = "yolo"
    COCO = "coco"


@frozen
class Order:
    """Everything that a detection is asked to do.

    Attributes:
        looks: the model, and the one that is drawn beside it where there is one.
        source: a video, or what ``find_pictures`` takes.
        folder: where results go.
        forms: what is written.
        split: the key of a data.yaml to read.
        coco_ids: a ground truth's JSON, whose ids COCO's results are to use.
    """

    looks: tuple[Look, ...]
    source: Path
    folder: Path
    forms: frozenset[Form]
    split: str = "val"
    coco_ids: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by index, or none."""
        return self.looks[0].spec.names

    @property
    def titles(self) -> tuple[str, ...]:
        """What the models are called, by their files; where these are alike, by their folders too."""
        paths = [look.spec.path for look in self.looks]
        if len({path.stem for path in paths}) == len(paths):
            return tuple(path.stem for path in paths)
        return tuple(f"{path.parent.name}/{path.name}" for path in paths)


@frozen
class Footage:
    """What will be looked at: a video, or pictures under the names of their results."""

    video: Video | None
    pictures: tuple[Path, ...]
    names: tuple[str, ...]
    ids: CocoIds

    @property
    def total(self) -> int | None:
        """How many shots there are; None where a video does not tell."""
        return self.video.frames if self.video else len(self.pictures)

    @property
    def unit(self) -> str:
        """What they are called."""
        return "frames" if self.video else "pictures"

    def shots(self, preprocessings: Sequence[Preprocessing]) -> Generator[Shot | Skipped, None, None]:
        """Read them ahead of their use, in order."""
        if self.video:
            yield from video_shots(self.video, preprocessings)
        else:
            yield from picture_shots(self.pictures, self.names, preprocessings)


def footage_of(order: Order) -> Footage:
    """Find what will be looked at, and refuse what cannot work.

    Raises:
        InputError: the folder would take the place of what is read, or the ids do not fit.
        ModelError: a model has no known head, or the two have other classes.
        PictureError: there is no such source, or nothing in it.
        ToolchainError: a model is an engine, and this machine has no GPU.
    """
    for look in order.looks:
        refuse_headless(look.spec)
        if engine := engine_of(look.spec.path):
            refuse_without_gpu(engine)
    _refuse_other_classes(order)
    _refuse_own_source(order)
    video = read_video(order.source) if is_video(order.source) else None
    pictures = () if video else find_pictures(order.source, split=order.split)
    spec = order.looks[0].spec
    if order.coco_ids and video:
        raise InputError("--coco-ids numbers pictures, and a video has frames", fix="leave --coco-ids out")
    ids = read_ids(order.coco_ids, spec, pictures) if order.coco_ids else counted(spec)
    return Footage(video, pictures, result_names(pictures) if pictures else (), ids)


def _refuse_own_source(order: Order) -> None:
    folder = real(order.folder)
    for path in (order.source, *(look.spec.path for look in order.looks)):
        if folder in (real(path), *real(path).parents):
            raise InputError(
                f"{path} lies in {order.folder}, where results would take its place",
                fix="choose another folder with -o",
            )


def _refuse_other_classes(order: Order) -> None:
    ours, *others = (look.spec for look in order.looks)
    for other in others:
        differ = ours.names and other.names and ours.names != other.names
        if differ or not ours.head.may_share_classes(other.head):
            raise ModelError(
                f"{other.path} has other classes ({other.head.classes}) than {ours.path} ({ours.head.classes})",
                fix="compare models that were trained on the same classes",
            )
