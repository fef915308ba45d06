"""Scales from anywhere into a table, and a table into a cache with its manifest."""

from pathlib import Path

from attrs import evolve, frozen

from polyyolo.calibration import cache_file, cache_manifest
from polyyolo.calibration.cache_file import ENTROPY_2
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.calibration.exchange import to_cache, to_table
from polyyolo.errors import ModelError, TableError
from polyyolo.files import replacing, sha256_of
from polyyolo.models.half import read_half
from polyyolo.quantization.cache_fit import check, refuse
from polyyolo.quantization.cache_tensors import all_int8, cache_tensors, float_layers, nodes_of, ranges, typed_graph
from polyyolo.quantization.placement import CHOSEN, FloatBudget, Placement
from polyyolo.quantization.quantize import placement_of
from polyyolo.quantization.scales import scales_of
from polyyolo.quantization.topology import data_of, identity, is_weighted
from polyyolo.records import CalibrationTable, ModelSpec, Preprocessing

ONNX = ".onnx"


@frozen
class Imported:
    """Scales that were made elsewhere.

    Attributes:
        table: their ranges, for the FP32 model.
        missing: tensors that could run in INT8 and have no range.
        renamed: how many tensors have another name there.
        in_float: nodes that stay in float there, besides the head and those without a range; None where it is not told.
    """

    table: CalibrationTable
    missing: tuple[str, ...]
    renamed: int
    in_float: tuple[str, ...] | None


@frozen
class Header:
    """The first line of a cache.

    Attributes:
        tensorrt: version that will read it, as "8.6" or "10.16".
        algorithm: one of ``cache_file.ALGORITHMS``; trtexec reads only EntropyCalibration2.
    """

    tensorrt: str
    algorithm: str = ENTROPY_2


def import_scales(source: Path, spec: ModelSpec, preprocessing: Preprocessing) -> Imported:
    """Read the scales of a Q/DQ model (.onnx) or a calibration cache (any other file) for an FP32 model.

    Args:
        source: where the scales are.
        spec: the FP32 model.
        preprocessing: what to record where the source tells none.

    Raises:
        TableError: a cache that cannot be read, or was made for another model; no scale that fits.
        ModelError: one of the models cannot be read or is not what it should be.
    """
    _refuse_not_fp32(spec)
    if source.suffix.lower() == ONNX:
        found = scales_of(source, spec)
        return Imported(to_table(found.ranges, spec, preprocessing), found.missing, len(found.by_structure), ())
    fitness = check(source, spec, scales_only=True)
    refuse(fitness, source, spec)
    graph = typed_graph(spec)
    wanted = [name for name in cache_tensors(graph, all_int8(graph)) if name in fitness.cache.scales]
    known = fitness.manifest.preprocessing if fitness.manifest else None
    table = to_table({name: fitness.cache.amax(name) for name in wanted}, spec, known or preprocessing)
    in_float = nodes_of(fitness.manifest.float_layers) if fitness.manifest else None
    return Imported(table, fitness.missing, 0, in_float)


def _refuse_not_fp32(spec: ModelSpec) -> None:
    what = "Q/DQ nodes itself" if spec.quantized else "FP16" if read_half(spec.path).anywhere else ""
    if what:
        raise ModelError(f"{spec.path} holds {what}", fix="name the FP32 model that it was made from with --model")


def fitted(
    table: CalibrationTable, spec: ModelSpec, size: tuple[int, int], budget: FloatBudget
) -> tuple[CalibrationTable, Placement]:
    """Place a model so that nodes whose input the table does not have stay in float.

    Args:
        table: of this model, perhaps with holes.
        spec: the FP32 model.
        size: (height, width) in pixels, for counting each node's work.
        budget: what else stays in float.

    Returns:
        The table, in which tensors that share a scale with a known one have its range, and the placement.
    """
    graph = typed_graph(spec)
    unknown = [identity(node) for node in graph.nodes if is_weighted(node) and data_of(node).name not in table.ranges]
    chosen = [name for name, why in placement_of(spec, size, budget).in_float.items() if why in CHOSEN]
    placement = placement_of(spec, size, FloatBudget(names=(*chosen, *unknown)))
    filled = dict(table.ranges)
    for group in placement.groups:
        amax = max(table.amax(name) for name in group if name in table.ranges)
        filled |= {name: {table.method: amax} for name in group if name not in table.ranges}
    return evolve(table, ranges=filled), placement


def export_cache(
    table: CalibrationTable, spec: ModelSpec, placement: Placement, path: Path, header: Header
) -> CacheManifest:
    """Write the cache with which TensorRT runs the placement's nodes in INT8, and its manifest beside it.

    Raises:
        TableError: the table belongs to another model, or holds nothing of this one.
        InputError: a TensorRT that reads no cache, or a file that cannot be written.
    """
    if table.model_sha256 != spec.sha256:
        raise TableError(
            f"the calibration table belongs to model {table.model_sha256[:12]}, {spec.path} is {spec.sha256[:12]}",
            fix="name the model that was calibrated with --model: in a run's folder it is model.onnx",
        )
    graph = typed_graph(spec)
    told = ranges(table, graph, placement)
    made = to_cache(told, cache_file.header_number(header.tensorrt), header.algorithm)
    fixed = spec.image_input.dims[0]
    batches = table.pictures // (fixed if isinstance(fixed, int) else 1)
    with replacing(path) as temporary:
        cache_file.write(made, temporary)
        manifest = CacheManifest(
            cache_sha256=sha256_of(temporary),
            model_sha256=spec.sha256,
            set_sha256=table.set_sha256,
            preprocessing=table.preprocessing,
            method=table.method,
            pictures=table.pictures,
            batches=batches,
            promised=batches,
            float_layers=float_layers(graph, placement),
        )
        cache_manifest.write(manifest, path)
    return manifest
