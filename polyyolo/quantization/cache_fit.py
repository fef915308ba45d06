"""Whether a calibration cache may be used: what TensorRT would accept, crash on, or get wrong in silence."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve, frozen

from polyyolo import progress
from polyyolo.calibration import cache_file, cache_manifest
from polyyolo.calibration.cache_file import ENTROPY_2, Cache, header_number
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.calibration.exchange import IMPORTED
from polyyolo.calibration.thresholds import LEVELS
from polyyolo.errors import TableError
from polyyolo.files import sha256_of
from polyyolo.images.lint import Finding, Severity
from polyyolo.quantization.cache_tensors import all_int8, cache_tensors, parsed_names, typed_graph
from polyyolo.records import ModelSpec, Toolchain, ToolchainKind

SMALLEST, LARGEST = 1e-7, 1e5
"""No activation of a YOLO has its largest magnitude outside of these, but for one that is always 0."""
OWN = "(Unnamed Layer*"
"""TensorRT gives constants and inserted layers names of its own, which no ONNX has."""


@frozen
class Fitness:
    """How a cache stands to a model.

    Attributes:
        cache: what the file holds.
        manifest: of the file beside it; None where there is none.
        missing: tensors that could run in INT8 and have no scale.
        extra: tensors that the model does not have; TensorRT's own names are not counted.
        behind_head: tensors of the head and the decode, which lose accuracy in INT8.
        findings: all that is wrong, errors first; a cache without errors may be used.
    """

    cache: Cache
    manifest: CacheManifest | None
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    behind_head: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Why the cache must not be used."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


def check(path: Path, spec: ModelSpec, toolchain: Toolchain | None = None, *, scales_only: bool = False) -> Fitness:
    """Hold a cache against a model and, where given, against the TensorRT that would read it.

    Args:
        path: the cache.
        spec: the FP32 model.
        toolchain: what would build with it.
        scales_only: nothing will build with it, so that its header does not matter.

    Raises:
        TableError: the cache or its manifest cannot be read.
        ModelError: the model cannot be read.
        InputError: that TensorRT reads no cache.
    """
    cache, manifest = cache_file.read(path), cache_manifest.read(path)
    graph = typed_graph(spec)
    told = parsed_names(graph)
    wanted = cache_tensors(graph, all_int8(graph))
    fitness = Fitness(
        cache=cache,
        manifest=manifest,
        missing=tuple(name for name in wanted if name not in cache.scales),
        extra=tuple(name for name in cache.scales if name not in told and not name.startswith(OWN)),
        behind_head=tuple(name for name in cache.scales if told.get(name)),
        findings=(),
    )
    found = [
        *([] if scales_only else _header(cache, toolchain)),
        *_values(cache),
        *_names(fitness, len(wanted)),
        *_origin(path, manifest, spec),
    ]
    ordered = sorted(found, key=lambda finding: finding.severity is Severity.WARNING)
    return evolve(fitness, findings=tuple(ordered))


def refuse_unfit(cache: Path, spec: ModelSpec, toolchain: Toolchain) -> None:
    """Refuse a cache that must not be used for a build, before anything is built; warn of what is only doubtful.

    Raises:
        TableError: it cannot be read, or there are errors; the first is told in full.
        InputError: that TensorRT reads no cache.
    """
    refuse(check(cache, spec, toolchain), cache, spec)


def refuse(fitness: Fitness, cache: Path, spec: ModelSpec) -> None:
    """Raise the first error, where there is one, and else warn of what is only doubtful.

    Raises:
        TableError: as above.
    """
    if fitness.errors:
        first, *others = fitness.errors
        check_it = shlex.join(["polyyolo", "cache", "check", str(cache), "--model", str(spec.path)])
        more = f"; {len(others)} more with: {check_it}" if others else ""
        raise TableError(f"{cache} must not be used for {spec.path}: {first.message}{more}", fix=first.fix)
    for finding in fitness.findings:
        progress.warn(f"{cache}: {finding.message}", finding.fix)


def _header(cache: Cache, toolchain: Toolchain | None) -> Iterator[Finding]:
    if cache.algorithm != ENTROPY_2:
        yield _error(
            f"its algorithm is {cache.algorithm}, but builders read with {ENTROPY_2}: trtexec crashes on others, "
            "Polygraphy calibrates on noise",
            f"calibrate again with {ENTROPY_2}; where only the scales matter, write that name into line 1",
        )
    if toolchain is None or toolchain.kind is not ToolchainKind.TENSORRT:
        return
    header_number(toolchain.tensorrt)  # refuses a release that reads no cache
    made, here = cache.release, toolchain.release
    if made[0] != here[0]:
        yield _error(
            f"it was written by TensorRT {made[0]}.{made[1]}, and {toolchain.tensorrt} may refuse it and crash",
            f"write it for this one: polyyolo cache export RUN --tensorrt {here[0]}.{here[1]} -o NEW; without a run, "
            "take its scales over (polyyolo cache import CACHE --model MODEL -o table.json) and export these",
        )
    elif made != here:
        yield _warning(
            f"it was written by TensorRT {made[0]}.{made[1]}, here is {toolchain.tensorrt}",
            'look for "Reading Calibration Cache" in the builder\'s log',
        )


def _values(cache: Cache) -> Iterator[Finding]:
    amax = {name: scale * LEVELS for name, scale in cache.scales.items()}
    broken = [name for name, value in amax.items() if not 0 <= value < float("inf")]
    zero = [name for name, value in amax.items() if value == 0]
    absurd = [name for name, value in amax.items() if 0 < value < SMALLEST or LARGEST < value < float("inf")]
    again = "calibrate again"
    if broken:
        yield _error(f"{_some(broken)}: negative, infinite or no number", again)
    if absurd:
        yield _error(f"{_some(absurd)}: {amax[absurd[0]]:g} is no largest magnitude of an activation", again)
    if zero:
        yield _warning(f"{_some(zero)}: a scale of 0, so that everything there becomes 0", again)


def _names(fitness: Fitness, wanted: int) -> Iterator[Finding]:
    """Take a cache for another model's when less than half of either side is known to the other."""
    given = len(fitness.cache.scales)
    present = wanted - len(fitness.missing)
    if 2 * len(fitness.extra) > given or 2 * present < wanted:
        yield _error(
            f"it knows {present} of the {wanted} tensors that can run in INT8, and {len(fitness.extra)} of its {given} "
            "are not in the model: it was made for another one",
            "name the model that it was made for, or calibrate this one",
        )
        return
    if fitness.missing:
        yield _warning(
            f"{_some(fitness.missing)}: no scale, so that the layers around stay in float",
            "as it should be for layers kept in float on purpose; else calibrate again",
        )
    if fitness.extra:
        yield _warning(f"{_some(fitness.extra)}: not in the model, so never used", "export it again for this model")
    if fitness.behind_head:
        yield _warning(
            f"{_some(fitness.behind_head)}: head and decode lose accuracy in INT8",
            "leave them out: polyyolo cache import it to a table, and export that",
        )


def _origin(path: Path, manifest: CacheManifest | None, spec: ModelSpec) -> Iterator[Finding]:
    if manifest is None:
        yield _warning(
            f"no {cache_manifest.beside(path).name} beside it: nothing tells which model and pictures it was made with,"
            " and all that has a scale may run in INT8, the head too",
            "calibrate again when weights or pictures may have changed; a cache of polyyolo's needs that file",
        )
        return
    if manifest.cache_sha256 != sha256_of(path):
        yield _error(
            f"it was changed after {cache_manifest.beside(path).name} was written beside it",
            "calibrate again; if the change was meant, delete that file",
        )
    if manifest.model_sha256 != spec.sha256:
        yield _error(
            f"it is stale: made for model {manifest.model_sha256[:12]}, this one is {spec.sha256[:12]}",
            "calibrate this model again, or name the one that it was made for: a run keeps that as model.onnx",
        )
    if manifest.batches < manifest.promised:
        yield _error(
            f"its calibration ended after {manifest.batches} of {manifest.promised} batches", "calibrate again"
        )
    if not manifest.pictures and manifest.method != IMPORTED:
        yield _error("its calibration saw no picture", "calibrate again")


def _some(names: list[str] | tuple[str, ...]) -> str:
    """Name the first of several tensors and count the others."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}"


def _error(message: str, fix: str) -> Finding:
    return Finding(Severity.ERROR, message, fix)


def _warning(message: str, fix: str) -> Finding:
    return Finding(Severity.WARNING, message, fix)
