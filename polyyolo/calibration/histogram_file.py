"""The file that keeps a calibration's histograms, so that another method needs no second calibration."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from polyyolo import files
from polyyolo.calibration.statistics import BINS, Counts, Histogram
from polyyolo.errors import TableError


def save(histograms: Mapping[str, Histogram], path: Path) -> str:
    """Write histograms as a compressed .npz, sparse, whole or not at all.

    Returns:
        the file's sha256.
    """
    with files.replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            names=np.array(list(histograms)),
            largest=np.array([each.largest for each in histograms.values()], dtype=np.float64),
            **_sparse("all", [each.counts for each in histograms.values()]),  # type: ignore[arg-type]
            **_sparse("seen", [each.seen for each in histograms.values()]),  # type: ignore[arg-type]
        )
    return files.sha256_of(path)


def _sparse(name: str, rows: Sequence[Counts]) -> dict[str, NDArray[np.generic]]:
    """Keep of each row of counts only the bins that hold something."""
    filled = [np.flatnonzero(row) for row in rows]
    none = np.empty(0, np.int64)
    return {
        f"{name}_sizes": np.array([len(bins) for bins in filled], np.int64),
        f"{name}_bins": np.concatenate([none, *filled]).astype(np.uint16),
        f"{name}_counts": np.concatenate([none, *(row[bins] for row, bins in zip(rows, filled, strict=True))]),
    }


def read(path: Path) -> dict[str, Histogram]:
    """Read histograms that ``save`` wrote.

    Raises:
        TableError: the file is damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            rows = zip(stored["names"], _dense("all", stored), stored["largest"], _dense("seen", stored), strict=True)
            return {str(name): Histogram(counts, float(top), seen) for name, counts, top, seen in rows}
    except (OSError, LookupError, ValueError, TypeError, AttributeError, EOFError, BadZipFile, zlib.error) as error:
        raise TableError(f"cannot read the histograms in {path}: {error}", fix="calibrate again") from error


def _dense(name: str, stored: Mapping[str, NDArray[np.generic]]) -> list[Counts]:
    """Give the rows of counts that ``_sparse`` packed."""
    bins, counts, sizes = stored[f"{name}_bins"], stored[f"{name}_counts"], stored[f"{name}_sizes"]
    rows = []
    for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        row = np.zeros(BINS, np.int64)
        row[bins[start : start + size]] = counts[start : start + size]
        rows.append(row)
    return rows
