"""What models look at, one after another: pictures from files or frames of a video, with their tensors."""

from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path

from attrs import frozen

from polyyolo.errors import PictureError
from polyyolo.images.ahead import ahead
from polyyolo.images.letterbox import Fit, Tensor, to_tensor
from polyyolo.images.reading import Picture, decode, read_bytes
from polyyolo.records import Preprocessing, Skipped
from polyyolo.verification.boxes import Boxes


@frozen(eq=False)
class Shot:
    """One picture, or one frame.

    Attributes:
        name: of its results, below their folder and without an ending; no other shot of the run has it.
        source: the picture's file, or the video's.
        frame: 0 for the first of a video; for pictures the place among them.
        image: (H, W, 3) uint8 BGR.
        views: for each model its (C, height, width) tensor and where the picture lies in it.
    """

    name: str
    source: Path
    frame: int
    image: Picture
    views: tuple[tuple[Tensor, Fit], ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.image.shape[:2]
        return height, width


@frozen(eq=False)
class Seen:
    """A shot and what each model found on it.

    Attributes:
        found: for each model its boxes, in pixels of the shot.
        drawn: the shot with boxes on it, where a video is wanted.
        jpeg: the same as a file's bytes, where pictures are wanted.
    """

    shot: Shot
    found: tuple[Boxes, ...]
    drawn: Picture | None = None
    jpeg: bytes = b""


def views_of(image: Picture, preprocessings: Sequence[Preprocessing]) -> tuple[tuple[Tensor, Fit], ...]:
    """Turn a picture into what each model sees."""
    return tuple(to_tensor(image, each) for each in preprocessings)


def picture_shots(
    pictures: Sequence[Path], names: Sequence[str], preprocessings: Sequence[Preprocessing]
) -> Generator[Shot | Skipped, None, None]:
    """Read pictures ahead of their use, in order; one that cannot be used tells why, and the others go on."""
    return ahead(partial(_shot, preprocessings), enumerate(zip(pictures, names, strict=True)))


def _shot(preprocessings: Sequence[Preprocessing], item: tuple[int, tuple[Path, str]]) -> Shot | Skipped:
    place, (path, name) = item
    try:
        image = decode(read_bytes(path))
    except PictureError as error:
        return Skipped(path, error.message)
    return Shot(name, path, place, image, views_of(image, preprocessings))
