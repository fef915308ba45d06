"""A calibration cache from pictures in one step, for builds that take one: on the CPU, in ONNX Runtime."""

import tempfile
from pathlib import Path

from polyyolo import progress
from polyyolo.calibration import cache_file, cache_manifest, thresholds
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.calibration.table import calibrate
from polyyolo.errors import ModelError, TableError
from polyyolo.files import sha256_of
from polyyolo.images.choose import choose
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.sources import is_array, is_picture
from polyyolo.models.tensors import refuse_more_inputs
from polyyolo.quantization.cache_exchange import Header, export_cache
from polyyolo.quantization.cache_tensors import float_layers, to_measure, typed_graph
from polyyolo.quantization.placement import FloatBudget, Placement
from polyyolo.quantization.quantize import placement_of
from polyyolo.records import USUAL, CalibrationSet, ModelSpec, Profile
from polyyolo.verification.gauge import look_of

LISTS = (".txt", ".yaml", ".yml")
HEADER = b"TRT-"


def holds_pictures(source: Path) -> bool:
    """Tell pictures (a folder, an .npy, a picture, a list, a data.yaml) from a calibration cache."""
    if source.is_dir() or is_array(source) or is_picture(source):
        return True
    return source.suffix.lower() in LISTS and not _begins_as_cache(source)


def kept_in_float(spec: ModelSpec, profile: Profile) -> tuple[str, ...]:
    """Name the layers that a cache of ``write_cache`` keeps in float: the model and its size decide, no picture does.

    Raises:
        ModelError: nothing in the model could run in INT8, or it takes more than a picture.
    """
    _, size = profile.usual(spec.image)
    return float_layers(typed_graph(spec), _placement(spec, size))


def write_cache(spec: ModelSpec, source: Path, profile: Profile, tensorrt: str, cache: Path) -> CacheManifest:
    """Calibrate a model and write its cache, unless it is there already, of this model and these pictures.

    Args:
        spec: the FP32 model.
        source: pictures (``holds_pictures``); up to 128 are chosen.
        profile: whose usual shape is calibrated at.
        tensorrt: version that will read the cache, as "8.6".
        cache: file to write, with a manifest beside it.

    Raises:
        PictureError: pictures that cannot be used, or an .npy that does not fit the model.
        ModelError: nothing in the model could run in INT8, or it takes more than a picture.
    """
    batch, size = profile.usual(spec.image)
    graph, placement = typed_graph(spec), _placement(spec, size)
    chosen = choose(source, preprocessing_for(spec, size), count=USUAL.count, batch=batch)
    known = _still_valid(cache, spec, chosen, tensorrt)
    if known and known.float_layers == float_layers(graph, placement):
        progress.note(f"{cache} was made of this model and these pictures: it is used as it is")
        return known
    pictures = chosen.batches * chosen.batch
    progress.note(
        f"calibrating with {pictures} pictures; polyyolo engine --route calibrated also finds what stays in float, "
        "and proves the result"
    )
    with tempfile.TemporaryDirectory() as folder:
        table = calibrate(
            spec,
            chosen,
            to_measure(graph, placement),
            thresholds.DEFAULT,
            Path(folder) / "histograms.npz",
            look=look_of(spec.head.at(size)),
        )
    return export_cache(table, spec, placement, cache, Header(tensorrt))


def _placement(spec: ModelSpec, size: tuple[int, int]) -> Placement:
    refuse_more_inputs(spec)
    placement = placement_of(spec, size, FloatBudget(USUAL.budget))
    if not placement.nodes:
        raise ModelError(f"{spec.path} has nothing that could run in INT8", fix="build it with --precision fp16")
    return placement


def _still_valid(cache: Path, spec: ModelSpec, chosen: CalibrationSet, tensorrt: str) -> CacheManifest | None:
    try:
        found = cache_manifest.read(cache)
        version = cache_file.read(cache).version if found else 0
    except TableError:
        return None
    if found is None or version != cache_file.header_number(tensorrt):
        return None
    told = (found.cache_sha256, found.model_sha256, found.set_sha256, found.preprocessing, found.method)
    now = (sha256_of(cache), spec.sha256, chosen.sha256, chosen.preprocessing, thresholds.DEFAULT)
    return found if told == now else None


def _begins_as_cache(source: Path) -> bool:
    if not source.is_file():
        return False
    with source.open("rb") as stream:
        return stream.read(len(HEADER)) == HEADER
