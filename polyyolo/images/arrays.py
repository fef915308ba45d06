"""Pictures in an .npy of shape (N, C, H, W), read from disk entry by entry.

uint8 entries are pictures that were already resized, RGB (or grey) 0 to 255: colour order, scale, mean and std still
apply. float32 and float16 entries are taken as finished tensors: only their dtype is brought to the model's.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from polyyolo.errors import PictureError
from polyyolo.files import refuse_endless
from polyyolo.images.letterbox import Tensor, normalise
from polyyolo.records import Preprocessing

Entries = npt.NDArray[np.generic]


def open_entries(path: Path, preprocessing: Preprocessing) -> Entries:
    """Map an .npy into memory and check it against the preprocessing; nothing but its header is read.

    Returns:
        (N, C, H, W) uint8, float16 or float32.

    Raises:
        PictureError: not an .npy, cut short, or of another rank, dtype or shape than the model takes; all mistakes
        are named.
    """
    entries = _mapped(path)
    if mistakes := _mistakes(entries, preprocessing):
        raise PictureError(
            f"{path} does not fit: " + "; ".join(mistakes),
            fix="write (N, C, H, W) uint8 RGB pictures, or float32 tensors as the model takes them",
        )
    return entries


def entry_shape(path: Path) -> tuple[int, int, int]:
    """Read from the header what an entry is.

    Returns:
        Channels, height, width.

    Raises:
        PictureError: not an .npy, cut short, or not of four axes.
    """
    shape = _mapped(path).shape
    if len(shape) != 4:
        raise PictureError(
            f"{path} has {len(shape)} axes {shape}, not 4", fix="write (N, C, H, W); a single picture is (1, C, H, W)"
        )
    return shape[1], shape[2], shape[3]


def entry_tensor(entries: Entries, index: int, preprocessing: Preprocessing) -> Tensor:
    """Read one entry as the tensor that the model sees.

    Returns:
        (C, H, W) of ``preprocessing.dtype``.
    """
    entry = np.array(entries[index])
    if entry.dtype == np.uint8:
        ordered = entry[::-1] if preprocessing.colour == "bgr" else entry
        return normalise(np.asarray(ordered, np.uint8), preprocessing)
    return entry.astype(preprocessing.dtype)


def _mapped(path: Path) -> Entries:
    try:
        refuse_endless(path)
        entries = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PictureError(
            f"cannot read {path}: {error}", fix="write it with numpy.save: an array of numbers, (N, C, H, W)"
        ) from error
    if not isinstance(entries, np.ndarray):
        raise PictureError(f"{path} is no .npy but an archive", fix="write it with numpy.save, not numpy.savez")
    return entries


def _mistakes(entries: npt.NDArray[np.generic], preprocessing: Preprocessing) -> list[str]:
    channels = 1 if preprocessing.colour == "grey" else 3
    wanted = (channels, *preprocessing.size)
    mistakes = []
    if entries.ndim != 4:
        mistakes.append(f"it has {entries.ndim} axes {entries.shape}, not 4 (N, C, H, W)")
    elif entries.shape[1:] != wanted:
        swapped = " (this looks like N, H, W, C)" if entries.shape[3] == channels else ""
        mistakes.append(f"its entries are {entries.shape[1:]}, the model takes {wanted}{swapped}")
    elif not len(entries):
        mistakes.append("it has no entries")
    if entries.dtype not in (np.uint8, np.float16, np.float32):
        mistakes.append(f"its dtype is {entries.dtype}, not uint8, float16 or float32")
    elif preprocessing.dtype == "uint8" and entries.dtype != np.uint8:
        mistakes.append(f"its dtype is {entries.dtype}, but the model takes uint8")
    return mistakes
