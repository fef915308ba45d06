"""TensorRT's own calibrators, driven by Polygraphy and fed by ``polyyolo/loader.py``: TensorRT 8.5 to 10, on a GPU."""

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

import polyyolo
from polyyolo.records import Preprocessing

BASES = {
    "entropy2": "IInt8EntropyCalibrator2",
    "minmax": "IInt8MinMaxCalibrator",
    "legacy": "IInt8LegacyCalibrator",
    "entropy": "IInt8EntropyCalibrator",
}
LEGACY = ("--quantile", "0.9999", "--regression-cutoff", "1.0")
"""Polygraphy's own 0.5 and 0.5 would clip half of each activation away."""
LOADER = Path(polyyolo.__file__).with_name("loader.py")
COUNT_FILE = "POLYYOLO_COUNT_FILE"


@frozen
class Feed:
    """What TensorRT calibrates with.

    Attributes:
        calibrator: one of ``BASES``.
        images: where the pictures are; an .npy too.
        count: how many, chosen with ``seed``.
        batch: pictures a batch: that of the last profile's usual shape.
        cache: that TensorRT writes.
    """

    calibrator: str
    images: Path
    preprocessing: Preprocessing
    count: int
    batch: int
    cache: Path
    seed: int = 0

    @property
    def count_file(self) -> Path:
        """Where the number of batches goes, promised and taken, until the cache has its manifest."""
        return self.cache.with_name(f"{self.cache.name}.count.json")


def words(feed: Feed, cache: str) -> tuple[str, ...]:
    """Spell a calibration for Polygraphy; the cache is written by it."""
    spelt = ("--data-loader-script", str(LOADER), "--calibration-cache", cache, "--calib-base-cls")
    return (*spelt, BASES[feed.calibrator], *(LEGACY if feed.calibrator == "legacy" else ()))


def environment(feed: Feed) -> Mapping[str, str]:
    """Give every setting of the loader, so that no file in the current folder changes any."""
    made = feed.preprocessing
    settings = {
        "images": str(feed.images.resolve()),
        "count": str(feed.count),
        "seed": str(feed.seed),
        "batch": str(feed.batch),
        "size": f"{made.size[0]}x{made.size[1]}",
        "fit": made.fit,
        "pad": str(made.pad),
        "colour": made.colour,
        "scale": repr(made.scale),
        "mean": ",".join(map(repr, made.mean)),
        "std": ",".join(map(repr, made.std)),
    }
    spelt = {f"POLYYOLO_{name.upper()}": value for name, value in settings.items()}
    return {**spelt, COUNT_FILE: str(feed.count_file.resolve())}
