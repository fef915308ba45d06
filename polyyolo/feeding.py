"""Let TensorRT calibrate by itself, and keep what proves that it saw every picture."""

from pathlib import Path

from attrs import frozen

from polyyolo.calibration import cache_manifest
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.calibration.feed_count import require_complete
from polyyolo.engines.calibrators import BASES, Feed
from polyyolo.files import remove, sha256_of
from polyyolo.images.choose import choose
from polyyolo.images.presets import preprocessing_for
from polyyolo.records import USUAL, CalibrationSet, ModelSpec, Profile


@frozen
class Calibration:
    """A calibration that a build will do: how it is fed, and the pictures that were chosen."""

    feed: Feed
    chosen: CalibrationSet


def calibration_for(spec: ModelSpec, source: Path, profile: Profile, calibrator: str, cache: Path) -> Calibration:
    """Choose and check the pictures now: TensorRT takes an error among them for their end.

    Args:
        spec: the FP32 model.
        source: pictures, as for ``polyyolo.calibrating``.
        profile: of whose last optimisation profile TensorRT calibrates at the usual shape.
        calibrator: one of ``BASES``.
        cache: file that TensorRT will write.

    Raises:
        PictureError: pictures that cannot be used, or an .npy that does not fit the model.
    """
    batch, size = profile.usual(spec.image, -1)
    chosen = choose(source, preprocessing_for(spec, size), count=USUAL.count, batch=batch)
    feed = Feed(
        calibrator=calibrator,
        images=source,
        preprocessing=chosen.preprocessing,
        count=USUAL.count,
        batch=batch,
        cache=cache,
    )
    return Calibration(feed, chosen)


def keep(calibration: Calibration, spec: ModelSpec, cache: Path) -> CacheManifest:
    """Write the manifest of a cache that TensorRT wrote.

    Raises:
        InputError: the feed failed, or never began.
        ToolFailed: the calibrator stopped before the end.
    """
    count = require_complete(calibration.feed.count_file)
    manifest = CacheManifest(
        cache_sha256=sha256_of(cache),
        model_sha256=spec.sha256,
        set_sha256=calibration.chosen.sha256,
        preprocessing=calibration.chosen.preprocessing,
        method=BASES[calibration.feed.calibrator],
        pictures=count.yielded * calibration.feed.batch,
        batches=count.yielded,
        promised=count.promised,
    )
    cache_manifest.write(manifest, cache)
    remove(calibration.feed.count_file)
    return manifest
