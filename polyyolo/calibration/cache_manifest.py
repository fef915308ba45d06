"""What a calibration cache does not say of itself, kept in a file beside it: which model and pictures made it."""

from pathlib import Path

from attrs import frozen

from polyyolo import files
from polyyolo.errors import InputError, TableError
from polyyolo.records import Preprocessing


@frozen
class CacheManifest:
    """What a cache was made with.

    Attributes:
        cache_sha256: of the cache's bytes; another one says that it was written again since.
        model_sha256: of the ONNX that the cache is for.
        set_sha256: of the ``CalibrationSet``; empty where scales came from elsewhere.
        preprocessing: None where that is not known.
        method: how ranges were chosen: mse, max, ..., ``imported``, or the name of TensorRT's calibrator.
        pictures: how many were folded in.
        batches: how many batches were consumed.
        promised: how many should have been; fewer consumed makes the cache unfit.
        float_layers: names of layers that have scales and that the builder must keep in float all the same.
    """

    cache_sha256: str
    model_sha256: str
    set_sha256: str
    preprocessing: Preprocessing | None
    method: str
    pictures: int
    batches: int
    promised: int
    float_layers: tuple[str, ...] = ()


def beside(cache: Path) -> Path:
    """Name the manifest of a cache: ``calibration.cache.json`` for ``calibration.cache``.

    Raises:
        InputError: the cache's name is that of a folder.
    """
    files.refuse_nameless(cache)
    return cache.with_name(f"{cache.name}.json")


def write(manifest: CacheManifest, cache: Path) -> None:
    """Write the manifest beside its cache, whole or not at all."""
    files.write_json(beside(cache), manifest)


def float_layers_of(cache: Path) -> tuple[str, ...]:
    """Name the layers that a cache's manifest keeps in float; none where there is no manifest.

    Raises:
        TableError: it is damaged.
    """
    manifest = read(cache)
    return manifest.float_layers if manifest else ()


def read(cache: Path) -> CacheManifest | None:
    """Read the manifest beside a cache; None where there is none.

    Raises:
        TableError: it is damaged.
    """
    if not beside(cache).exists():
        return None
    try:
        return files.read_json(beside(cache), CacheManifest)
    except InputError as error:
        raise TableError(
            f"the manifest {beside(cache)} is damaged: {error.message}",
            fix="export or calibrate the cache again; without its manifest nobody knows what a cache was made for",
        ) from error
