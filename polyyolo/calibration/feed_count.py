"""How many batches a feed promised and how many were taken: the proof that a calibration saw all of its pictures."""

from pathlib import Path

from attrs import frozen

from polyyolo.errors import InputError, ToolFailed
from polyyolo.files import read_json


@frozen
class FeedCount:
    """What a ``Feeder`` leaves in its count file.

    Attributes:
        promised: batches of one round; 0 while that is not known.
        yielded: batches after which the consumer came back.
        failure: why the feed itself ended early; empty when it did not.
    """

    promised: int
    yielded: int
    failure: str = ""


def require_complete(count_file: Path) -> FeedCount:
    """Make sure that a calibration took every batch: TensorRT and Polygraphy take a bad one for the end and go on.

    Raises:
        InputError: the feed failed, or never began.
        ToolFailed: the calibrator stopped before the end.
    """
    again = "the engine's ranges are incomplete: delete the calibration cache, then calibrate again"
    if not count_file.exists():
        raise InputError("the feed never began: the calibrator asked for no batch", fix=again)
    count = read_json(count_file, FeedCount)
    if count.failure or not count.promised:
        raise InputError(
            f"the feed ended after {count.yielded} of {count.promised} batches: {count.failure or 'it never began'}",
            fix=again,
        )
    if count.yielded < count.promised:
        raise ToolFailed(f"the calibrator took {count.yielded} of {count.promised} batches", fix=again)
    return count
