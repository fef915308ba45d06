"""Ranges from a table into a cache and back, and what differs between two caches."""

import math
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from polyyolo.calibration.cache_file import Cache, same
from polyyolo.calibration.thresholds import LEVELS
from polyyolo.errors import InputError, TableError
from polyyolo.files import read_json
from polyyolo.records import CalibrationTable, ModelSpec, Preprocessing

IMPORTED = "imported"


def to_cache(ranges: Mapping[str, float], version: int, algorithm: str) -> Cache:
    """Make a cache of largest magnitudes.

    Args:
        ranges: tensor -> amax, in the order that the file will have.
        version: for the header (``cache_file.version_of``).
        algorithm: one of ``cache_file.ALGORITHMS``.

    Raises:
        TableError: no tensor at all.
    """
    if not ranges:
        raise TableError("there is no range to write into a cache", fix="name the model that the table was made for")
    return Cache(version, algorithm, {name: amax / LEVELS for name, amax in ranges.items()})


def to_table(ranges: Mapping[str, float], spec: ModelSpec, preprocessing: Preprocessing) -> CalibrationTable:
    """Make a table of largest magnitudes that were measured elsewhere.

    Args:
        ranges: tensor of ``spec`` -> amax.
        spec: the FP32 model that the table will be for.
        preprocessing: what the ranges hold for.

    Raises:
        TableError: a range is no number that INT8 could represent.
    """
    unfit = [name for name, amax in ranges.items() if not (math.isfinite(amax) and amax >= 0)]
    if unfit:
        raise TableError(f"tensor {unfit[0]!r} has the range {ranges[unfit[0]]:g}", fix="calibrate again")
    return CalibrationTable(
        model_sha256=spec.sha256,
        set_sha256="",
        preprocessing=preprocessing,
        pictures=0,
        method=IMPORTED,
        ranges={name: {IMPORTED: amax} for name, amax in ranges.items()},
        histogram_sha256="",
    )


def read_table(path: Path) -> CalibrationTable:
    """Read a calibration table that a run or an import left.

    Raises:
        TableError: no file, damaged, another file, or with ranges that are none.
    """
    try:
        table = read_json(path, CalibrationTable)
    except InputError as error:
        reason = error.message.removeprefix("cannot read ").removeprefix(f"{path}: ")
        raise TableError(f"{path} is no calibration table: {reason}", fix="calibrate or import again") from error
    for name in table.ranges:
        if not 0 <= table.amax(name) < math.inf:
            raise TableError(f"{path} gives tensor {name!r} the range {table.amax(name)}", fix="calibrate again")
    return table


@frozen
class Change:
    """One tensor in two caches.

    Attributes:
        ratio: the second scale over the first; infinite where the first is 0 and the second is not.
    """

    tensor: str
    first: float
    second: float
    ratio: float


@frozen
class Difference:
    """What differs between two caches.

    Attributes:
        changes: tensors with other scales, those that differ most first, up or down.
        same: how many have the same scale to the bit.
        only_first: tensors of the first alone.
        only_second: tensors of the second alone.
        headers: both headers' version and algorithm, where they differ.
    """

    changes: tuple[Change, ...]
    same: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    headers: tuple[str, ...]


def difference(first: Cache, second: Cache) -> Difference:
    """Compare two caches tensor by tensor."""
    both = [name for name in first.scales if name in second.scales]
    changed = [name for name in both if not same(first.scales[name], second.scales[name])]
    changes = [_change(name, first.scales[name], second.scales[name]) for name in changed]
    headers = tuple(f"TRT-{cache.version}-{cache.algorithm}" for cache in (first, second))
    return Difference(
        changes=tuple(sorted(changes, key=lambda change: -_size(change.ratio))),
        same=len(both) - len(changed),
        only_first=tuple(name for name in first.scales if name not in second.scales),
        only_second=tuple(name for name in second.scales if name not in first.scales),
        headers=headers if headers[0] != headers[1] else (),
    )


def _change(tensor: str, first: float, second: float) -> Change:
    return Change(tensor, first, second, second / first if first else math.inf)


def _size(ratio: float) -> float:
    """Give how far a ratio is from 1, the same for twice and for half; what is no number counts as furthest."""
    return abs(math.log(ratio)) if 0 < ratio < math.inf else math.inf
