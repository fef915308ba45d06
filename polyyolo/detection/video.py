"""Videos in and out, through OpenCV's FFmpeg."""

import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count, takewhile
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from attrs import frozen

from polyyolo import progress
from polyyolo.detection.naming import ROOM
from polyyolo.detection.shots import Seen, Shot, views_of
from polyyolo.errors import PictureError, ToolchainError
from polyyolo.files import fitting, refuse_endless
from polyyolo.images.ahead import ahead, modest_opencv
from polyyolo.images.reading import Picture, refuse_absurd
from polyyolo.records import Preprocessing

# FFmpeg would write its own complaints to standard error; what matters of them is told by our errors.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

EXTENSIONS = frozenset(".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv .flv .ts .mts .m2ts .3gp .ogv".split())  # noqa: SIM905 - readable
USUAL_RATE = 25.0
FASTEST = 1000.0
"""Frames a second; containers that do not know say zero, or a clock's ticks."""
CODEC = "mp4v"
"""MPEG-4: the one codec of .mp4 that every OpenCV wheel can write; H.264 needs a library that wheels do not have."""


@frozen
class Video:
    """A video file that can be opened.

    Attributes:
        rate: frames a second.
        frames: how many it promises; None where it does not tell.
        size: (height, width) in pixels, turned as it is to be shown.
    """

    path: Path
    rate: float
    frames: int | None
    size: tuple[int, int]


def is_video(source: Path) -> bool:
    """Tell by its ending whether ``source`` is a video."""
    return source.suffix.lower() in EXTENSIONS and not source.is_dir()


def read_video(path: Path) -> Video:
    """Open a video and read what its header says.

    Raises:
        PictureError: no such file, no video, one without frames, or frames of an absurd size.
    """
    with _opened(path) as capture:
        rate, promised = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        size = round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), round(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        if not capture.grab():
            raise PictureError(f"{path} has no frame that can be decoded", fix="record it again, or name another video")
    try:
        refuse_absurd(*size)
    except PictureError as error:
        raise PictureError(f"cannot use {path}: {error.message}", fix="name another video") from error
    if not (math.isfinite(rate) and 0 < rate <= FASTEST):
        progress.warn(f"{path} does not tell how many frames a second it has", f"{USUAL_RATE:g} are assumed")
        rate = USUAL_RATE
    return Video(path, rate, round(promised) if 0 < promised < 1e9 else None, size)


def video_shots(video: Video, preprocessings: Sequence[Preprocessing]) -> Generator[Shot, None, None]:
    """Decode frames on a thread ahead of their use, in order, until the video ends or is damaged."""
    with _opened(video.path) as capture:

        def decoded(frame: int) -> Shot | None:
            whole, image = capture.read()
            return _shot(video.path, frame, np.asarray(image, np.uint8), preprocessings) if whole else None

        with closing(ahead(decoded, count(), workers=1)) as frames:
            for shot in takewhile(lambda shot: shot is not None, frames):
                assert shot is not None  # noqa: S101 - takewhile tells no type
                yield shot


def _shot(path: Path, frame: int, image: Picture, preprocessings: Sequence[Preprocessing]) -> Shot:
    return Shot(fitting(path.stem, f"-{frame:06}", ROOM), path, frame, image, views_of(image, preprocessings))


def _place(path: Path) -> str:
    """Spell a path for FFmpeg: what comes before the first colon of a relative one would be a protocol."""
    return str(path.absolute())


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    try:
        refuse_endless(path)
        with path.open("rb"):
            pass
    except OSError as error:
        raise PictureError(
            f"cannot use {path}: {error.strerror or error}", fix="name a video file that exists and may be read"
        ) from error
    with modest_opencv():
        capture = cv2.VideoCapture(_place(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise PictureError(
                f"{path} is no video that can be decoded, or its end is missing", fix="copy it again, or convert it"
            )
        yield capture
    finally:
        capture.release()


class Recorder:
    """Writes frames into an .mp4; whole once the ``with`` block is left, however that happens.

    Args:
        path: of the video.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._frames = 0
        self._writer: cv2.VideoWriter | None = None

    def __enter__(self) -> "Recorder":  # noqa: PYI034 - typing.Self came with Python 3.11
        return self

    def add(self, seen: Seen) -> None:
        """Append what was drawn; the first frame decides the size, and of odd sides the last pixel is lost.

        Raises:
            ToolchainError: OpenCV cannot write a video of this size.
        """
        if seen.drawn is None:
            return
        height, width = (side // 2 * 2 for side in seen.drawn.shape[:2])
        self._writer = self._writer or self._open(height, width)
        self._writer.write(seen.drawn[:height, :width])
        self._frames += 1

    def _open(self, height: int, width: int) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*CODEC)
        with modest_opencv():
            writer = cv2.VideoWriter(_place(self._path), cv2.CAP_FFMPEG, codec, self._rate, (width, height))
        if not writer.isOpened():
            raise ToolchainError(
                f"OpenCV cannot write {self._path.name} ({width}x{height}, {self._rate:g} frames/s)",
                fix="install opencv-python from PyPI, or leave pictures out of --save",
            )
        return writer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file, and see that it is whole.

        Raises:
            ToolchainError: the disk became full.
        """
        if self._writer:
            self._writer.release()
        if self._writer and kind is None:
            self._refuse_cut()

    def _refuse_cut(self) -> None:
        """OpenCV does not tell when a disk is full: read back how many frames arrived."""
        with modest_opencv():
            reader = cv2.VideoCapture(_place(self._path), cv2.CAP_FFMPEG)
        arrived = round(reader.get(cv2.CAP_PROP_FRAME_COUNT)) if reader.isOpened() else 0
        reader.release()
        if arrived != self._frames:
            raise ToolchainError(
                f"{arrived} of {self._frames} frames arrived in {self._path.name}: no space is left to write it",
                fix="free some space, or choose another folder with -o",
            )
