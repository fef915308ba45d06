"""A detection, from its source to its folder."""

import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from attrs import evolve

from polyyolo import progress
from polyyolo.detection.detector import Detector, detections
from polyyolo.detection.order import Footage, Form, Order, footage_of
from polyyolo.detection.result import Detected, Results
from polyyolo.detection.shots import Seen, Shot
from polyyolo.detection.video import Recorder, is_video
from polyyolo.detection.writers import DRAWING, CocoResults, DetectionsJson, Drawings, Writer, YoloText
from polyyolo.errors import PictureError
from polyyolo.files import fitting
from polyyolo.images.ahead import ahead
from polyyolo.images.reading import Picture
from polyyolo.records import Skipped
from polyyolo.verification.drawing import name_of
from polyyolo.verification.pictures import draw_found, encode, side_by_side

STEP = "detect"
SLACK = 0.02
"""Share of a video's frames that may be missing without a word: headers count roughly."""


class Tally:
    """Counts what comes by; mutable, because a detection that is stopped tells how far it came."""

    def __init__(self) -> None:
        self.shots = 0
        self.labels: Counter[int] = Counter()
        self.skipped: list[Skipped] = []
        self.seconds = 0.0

    def add(self, seen: Seen) -> None:
        """Count a shot and its boxes."""
        self.shots += 1
        self.labels.update(seen.found[0].classes.tolist())

    def usable(self, shots: Iterable[Shot | Skipped]) -> Iterator[Shot]:
        """Pass shots on; tell of those that cannot be used."""
        for shot in shots:
            if isinstance(shot, Shot):
                yield shot
                continue
            self.skipped.append(shot)
            progress.warn(f"left out: {shot.path}: {shot.reason}")
            progress.advance(STEP)


def detect(order: Order) -> tuple[Detected, Path]:
    """Look at everything in the source, and write what was seen.

    Stopped by Ctrl-C or a signal, it publishes what was finished: whole pictures, a video that can be played.

    Returns:
        What it came to, and the folder with the results.

    Raises:
        InputError: the model, the source, an option or the folder cannot be used, or no picture could be read.
        ToolchainError: a video cannot be written here, or the disk is full.
    """
    footage = footage_of(order)
    with Results.open(order.folder) as results:
        tally = Tally()
        stopped = _work(order, footage, results.partial, tally)
        if stopped and not tally.shots:
            raise stopped
        _refuse_nothing(order, tally)
        _tell_of_missing(footage, tally, stopped)
        summary, place = results.publish(_summary(order, tally, complete=stopped is None))
        if stopped:
            progress.note(f"{tally.shots} {footage.unit} were finished: they are in {place}")
            raise stopped
    return summary, place


def _work(order: Order, footage: Footage, folder: Path, tally: Tally) -> BaseException | None:
    """Do all of it; gives what asked it to stop, where something did."""
    with ExitStack() as opened:
        detectors = [opened.enter_context(Detector(look)) for look in order.looks]
        started = time.perf_counter()
        try:
            _write_all(order, footage, detectors, folder, tally)
        except Exception:
            raise
        except BaseException as stopped:  # noqa: BLE001 - Ctrl-C or a signal: raised again when results are whole
            return stopped
        finally:
            tally.seconds = time.perf_counter() - started
    return None


def _write_all(order: Order, footage: Footage, detectors: list[Detector], folder: Path, tally: Tally) -> None:
    with ExitStack() as opened, progress.step(STEP, footage.total):
        writers = [opened.enter_context(writer) for writer in _writers(order, footage, folder)]
        shots = opened.enter_context(closing(footage.shots([look.preprocessing for look in order.looks])))
        found = detections(tally.usable(shots), detectors)
        for seen in opened.enter_context(closing(_finished(order, footage, found))):
            for writer in writers:
                writer.add(seen)
            tally.add(seen)
            progress.advance(STEP)


def _writers(order: Order, footage: Footage, folder: Path) -> list[Writer]:
    rate = footage.video.rate if footage.video else None
    draws = Form.PICTURES in order.forms
    drawn = DRAWING if draws and not footage.video else ""
    writers: dict[Form, Writer] = {
        Form.JSON: DetectionsJson(folder, order.names, rate, drawn),
        Form.YOLO: YoloText(folder),
        Form.COCO: CocoResults(folder, footage.ids),
    }
    chosen = [writer for form, writer in writers.items() if form in order.forms]
    if draws and footage.video:
        chosen.append(Recorder(folder / fitting(footage.video.path.stem, ".mp4"), footage.video.rate))
    elif draws:
        chosen.append(Drawings(folder))
    return chosen


def _finished(order: Order, footage: Footage, found: Generator[Seen, None, None]) -> Generator[Seen, None, None]:
    """Draw in threads while the models look at the next."""
    if Form.PICTURES not in order.forms:
        return found
    return ahead(partial(_drawn, order, as_jpeg=footage.video is None), found)


def _drawn(order: Order, seen: Seen, *, as_jpeg: bool) -> Seen:
    image = _draw(order, seen)
    return evolve(seen, jpeg=encode(image)) if as_jpeg else evolve(seen, drawn=image)


def _draw(order: Order, seen: Seen) -> Picture:
    if len(seen.found) == 1:
        return draw_found(seen.shot.image, seen.found[0], order.names)
    ours, theirs = seen.found
    title, other = order.titles
    return side_by_side(seen.shot.image, (theirs, ours), order.names, (other, title))


def _refuse_nothing(order: Order, tally: Tally) -> None:
    """Refuse to call it a success when nothing could be looked at.

    Raises:
        PictureError: as above.
    """
    if tally.shots:
        return
    first = f": {tally.skipped[0].path}: {tally.skipped[0].reason}" if tally.skipped else ""
    raise PictureError(
        f"none of the {len(tally.skipped)} pictures of {order.source} could be used{first}",
        fix="give at least one picture that can be opened",
    )


def _tell_of_missing(footage: Footage, tally: Tally, stopped: BaseException | None) -> None:
    missing = (footage.total or 0) - tally.shots
    if footage.video and not stopped and missing > max(1, SLACK * tally.shots):
        progress.warn(
            f"{footage.video.path} promises {footage.total} frames, and {tally.shots} could be decoded: it is damaged "
            "or cut short",
            "copy it again; what could be decoded is in the results",
        )


def _summary(order: Order, tally: Tally, *, complete: bool) -> Detected:
    ours = order.looks[0]
    return Detected(
        model=ours.spec.path.resolve(),
        against=order.looks[1].spec.path.resolve() if len(order.looks) > 1 else None,
        source=order.source.resolve(),
        preprocessing=ours.preprocessing,
        confidence=ours.selection.confidence,
        iou=ours.selection.iou,
        limit=ours.selection.limit,
        classes=tuple(name_of(label, order.names) for label in ours.classes),
        is_video=is_video(order.source),
        shots=tally.shots,
        skipped=tuple(tally.skipped),
        boxes=tally.labels.total(),
        per_class={name_of(label, order.names): count for label, count in tally.labels.most_common()},
        seconds=round(tally.seconds, 3),
        complete=complete,
    )
