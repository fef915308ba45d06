"""Pictures flow as tensors: decoded and resized in threads ahead of whoever consumes them, in flat memory."""

from collections.abc import Generator, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polyyolo.errors import PictureError
from polyyolo.images.ahead import ahead
from polyyolo.images.arrays import entry_tensor, open_entries
from polyyolo.images.letterbox import Fit, Tensor, to_tensor
from polyyolo.images.reading import read_picture
from polyyolo.records import CalibrationSet, Preprocessing

Prepared = tuple[Path, Tensor, Fit]
Batch = npt.NDArray[np.generic]


def tensors(paths: Sequence[Path], preprocessing: Preprocessing) -> Generator[Prepared, None, None]:
    """Turn pictures into tensors, in order.

    Yields:
        The path, the (C, H, W) tensor and where the picture lies in it.

    Raises:
        PictureError: a picture cannot be used; the message has its path.
    """
    return ahead(partial(_prepare, preprocessing), paths)


def batches(chosen: CalibrationSet) -> Generator[Batch, None, None]:
    """Turn the chosen pictures into batches, in order; call again to go through them again.

    Yields:
        (B, C, H, W) of ``chosen.preprocessing.dtype``, ``chosen.batches`` times; each is a new array.

    Raises:
        PictureError: a picture or the .npy changed since it was chosen and cannot be used any more.
    """
    return batched(chosen_tensors(chosen), chosen.batch)


def batched(stream: Iterable[Tensor], batch: int) -> Generator[Batch, None, None]:
    """Stack (C, H, W) tensors into (``batch``, C, H, W); what does not fill a batch at the end is dropped."""
    waiting: list[Tensor] = []
    for tensor in stream:
        waiting.append(tensor)
        if len(waiting) == batch:
            yield np.stack(waiting)
            waiting.clear()


def chosen_tensors(chosen: CalibrationSet) -> Generator[Tensor, None, None]:
    """Turn the chosen pictures into tensors, in order, those that fill whole batches.

    Yields:
        (C, H, W) of ``chosen.preprocessing.dtype``.

    Raises:
        PictureError: a picture or the .npy changed since it was chosen and cannot be used any more.
    """
    used = chosen.batches * chosen.batch
    if not chosen.indices:
        for _, tensor, _ in tensors(chosen.sources[:used], chosen.preprocessing):
            yield tensor
        return
    source = chosen.sources[0]
    entries = open_entries(source, chosen.preprocessing)
    if len(entries) <= max(chosen.indices):
        raise PictureError(
            f"{source} has {len(entries)} entries, fewer than when it was chosen from", fix="choose again"
        )
    yield from (entry_tensor(entries, index, chosen.preprocessing) for index in chosen.indices[:used])


def _prepare(preprocessing: Preprocessing, path: Path) -> Prepared:
    return path, *to_tensor(read_picture(path), preprocessing)
