"""The pictures of a page: side-by-side pictures cut into their halves, all made small enough for one file."""

import base64
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path

import cv2
from attrs import frozen

from polyyolo.errors import PictureError
from polyyolo.images.reading import Picture, read_picture
from polyyolo.records import Run, Shown
from polyyolo.verification.pictures import BAR, GAP

BUDGET = 3_500_000
"""Characters that all pictures of a page may take."""
LADDER = ((1.0, 82), (1.0, 70), (0.8, 65), (0.6, 60), (0.45, 50))
"""Scale, and quality of JPEG (0 to 100), from the best to the least that still shows something."""
SHEET = "calibration.png"


@frozen
class Photo:
    """A picture inside the page."""

    uri: str
    width: int
    height: int


@frozen
class PhotoPair:
    """One picture with FP32's boxes and the same with the other model's."""

    shown: Shown | None
    name: str
    left: Photo
    right: Photo


@frozen
class Album:
    """All pictures of a page.

    Attributes:
        comparisons: the worst disagreements first.
        sheet: what calibration saw; None where nothing was calibrated, or the picture is lost.
        missing: names of files that could not be read.
        left_out: how many comparisons were too many for one file.
    """

    comparisons: tuple[PhotoPair, ...]
    sheet: Photo | None
    missing: tuple[str, ...]
    left_out: int = 0


def album(run: Run, folder: Path, budget: int = BUDGET) -> Album:
    """Read, cut and shrink a run's pictures.

    Args:
        run: its record; pictures that lie outside of the folder are not read.
        folder: where they lie.
        budget: characters that they may take.
    """
    read = dict(_read(run, folder))
    pairs = {name: cut for name, picture in read.items() if name != SHEET and (cut := halves(picture))}
    sheets = [read[SHEET]] if SHEET in read else []
    photos = fitting([*sheets, *chain.from_iterable(pairs.values())], budget)
    told = {each.file: each for each in run.fidelity.shown} if run.fidelity else {}
    drawn = photos[len(sheets) :]
    comparisons = tuple(
        PhotoPair(told.get(name), name, left, right)
        for name, left, right in zip(pairs, drawn[::2], drawn[1::2], strict=False)
    )
    return Album(
        comparisons=comparisons,
        sheet=photos[0] if sheets and photos else None,
        missing=tuple(name for name in run.pictures if name not in pairs and not (name == SHEET and sheets)),
        left_out=len(pairs) - len(comparisons),
    )


def halves(picture: Picture) -> tuple[Picture, Picture] | None:
    """Cut a side-by-side picture, as ``verification.pictures`` draws it, into its halves without their titles.

    Args:
        picture: (H, W, 3) uint8 BGR.

    Returns:
        both halves, of one size; None where the picture is no such pair.
    """
    height, width = picture.shape[:2]
    side = (width - GAP) // 2
    if height <= BAR or side < 1 or 2 * side + GAP != width:
        return None
    return picture[BAR:, :side], picture[BAR:, side + GAP :]


def fitting(pictures: Sequence[Picture], budget: int) -> list[Photo]:
    """Encode pictures as well as the budget allows; where even the worst is too much, the last are left out."""
    photos: list[Photo] = []
    for scale, quality in LADDER:
        photos = [encoded(picture, scale, quality) for picture in pictures]
        if sum(len(photo.uri) for photo in photos) <= budget:
            return photos
    ends = accumulate(len(photo.uri) for photo in photos)
    return [photo for photo, end in zip(photos, ends, strict=True) if end <= budget]


def encoded(picture: Picture, scale: float, quality: int) -> Photo:
    """Make a JPEG of a picture, scaled, as a data URI."""
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    scaled = picture if scale == 1 else cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    return Photo(f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}", width, height)


def _read(run: Run, folder: Path) -> Iterator[tuple[str, Picture]]:
    """Give the pictures that can be read; a record may be edited, so that names that lead out of the folder are not."""
    inside = folder.resolve()
    for name in run.pictures:
        path = (folder / name).resolve()
        if inside not in path.parents:
            continue
        try:
            yield name, read_picture(path)
        except PictureError:
            continue
