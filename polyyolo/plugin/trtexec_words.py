"""Options of Polygraphy that change how TensorRT builds, in trtexec's words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from polyyolo import progress
from polyyolo.engines.trtexec import unspeakable

Release = tuple[int, int]

SOURCES = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
GONE_SOURCES = ("CUBLAS", "CUBLAS_LT", "CUDNN")
"""Libraries that trtexec 11 does not know any more."""
STRONG = (11, 0)
"""The first release without flags of precision."""
TYPES = {"float32": "fp32", "float": "fp32", "float16": "fp16", "half": "fp16", "int8": "int8", "int32": "int32"}
POOLS = {"workspace": "workspace"}
COMPATIBILITY = {"none": "none", "ampere_plus": "ampere+"}
SAME_CAPABILITY, SAME_CAPABILITY_SINCE = {"same_compute_capability": "sameComputeCapability"}, (10, 9)
"""A level, and the first release that knows it."""
TILING = {"none": "0", "fast": "1", "moderate": "2", "full": "3"}


@frozen
class Spelling:
    """One option of trtexec.

    Attributes:
        word: what trtexec is told.
        since: the first release that has it.
        before: the first release that has it no more.
        value: makes what stands behind the =, of what Polygraphy was told and the release; None for a switch. It raises
            ValueError for what trtexec cannot be told.
    """

    word: str
    since: Release = (8, 5)
    before: Release = (99, 0)
    value: Callable[[Any, Release], str] | None = None

    def spell(self, told: object, release: Release) -> str:
        """Write it down.

        Raises:
            ValueError: this release has no word for it.
        """
        if not self.since <= release < self.before:
            raise ValueError(f"it has no {self.word}")
        return f"{self.word}={self.value(told, release)}" if self.value else self.word


def _same(told: object, _release: Release) -> str:
    return str(told).lower()


def _named(names: Mapping[str, str]) -> Callable[[str, Release], str]:
    return lambda told, _release: _looked_up(told, names)


def _looked_up(told: str, names: Mapping[str, str]) -> str:
    if told.lower() not in names:
        raise ValueError(f"it has no word for {told}")
    return names[told.lower()]


def _compatibility(told: str, release: Release) -> str:
    return _looked_up(told, COMPATIBILITY | (SAME_CAPABILITY if release >= SAME_CAPABILITY_SINCE else {}))


def _sources(told: Sequence[str], release: Release) -> str:
    """Say of each source whether it is taken: Polygraphy names those that are, trtexec changes its default."""
    known = SOURCES if release >= STRONG else (*GONE_SOURCES, *SOURCES)
    wanted = {name.upper() for name in told}
    if wanted - set(known):
        raise ValueError(f"it has no word for {', '.join(sorted(wanted - set(known)))}")
    return ",".join(f"{'+' if name in wanted else '-'}{name}" for name in known)


def _layers(told: Sequence[str], _release: Release) -> str:
    pairs = [word.rpartition(":") for word in told]
    lost = unspeakable(name for name, _, _ in pairs)
    if lost:
        raise ValueError(f"a layer's name may hold no comma or apostrophe: {lost[0]}")
    return ",".join(f"{name}:{_looked_up(kind, TYPES)}" for name, _, kind in pairs)


def _pools(told: Sequence[str], _release: Release) -> str:
    from polygraphy.tools.args.util import parse_num_bytes

    pairs = [word.rpartition(":") for word in told]
    return ",".join(f"{_looked_up(name, POOLS)}:{parse_num_bytes(size) / 2**20:.15g}" for name, _, size in pairs)


SPELLINGS = {
    "bf16": Spelling("--bf16", since=(9, 0), before=STRONG),
    "fp8": Spelling("--fp8", since=(8, 6), before=STRONG),
    "precision_constraints": Spelling("--precisionConstraints", before=STRONG, value=_same),
    "layer_precisions": Spelling("--layerPrecisions", before=STRONG, value=_layers),
    "sparse_weights": Spelling("--sparsity", value=lambda _told, _release: "enable"),
    "tactic_sources": Spelling("--tacticSources", value=_sources),
    "refittable": Spelling("--refit"),
    "memory_pool_limit": Spelling("--memPoolSize", value=_pools),
    "builder_optimization_level": Spelling("--builderOptimizationLevel", since=(8, 6), value=_same),
    "hardware_compatibility_level": Spelling("--hardwareCompatibilityLevel", since=(8, 6), value=_compatibility),
    "max_aux_streams": Spelling("--maxAuxStreams", since=(8, 6), value=_same),
    "tiling_optimization_level": Spelling("--tilingOptimizationLevel", since=(10, 8), value=_named(TILING)),
    "error_on_timing_cache_miss": Spelling("--errorOnTimingCacheMiss", since=(9, 0)),
    "disable_compilation_cache": Spelling("--noCompilationCache", since=(9, 0)),
    "profiling_verbosity": Spelling("--profilingVerbosity", value=_same),
}
"""Polygraphy's name of an option in Python -> trtexec's option."""


def words(told: Mapping[str, object], release: Release) -> Iterator[str]:
    """Spell what a release of trtexec can be told, and warn of the rest.

    Args:
        told: keys of ``SPELLINGS`` -> what Polygraphy was told.
        release: of trtexec.
    """
    for name, value in told.items():
        try:
            yield SPELLINGS[name].spell(value, release)
        except ValueError as error:  # noqa: PERF203 - each option is told or warned of by itself
            option = f"--{name.replace('_', '-')}"
            progress.warn(
                f"trtexec {release[0]}.{release[1]} builds without {option}: {error}",
                f"leave {option} out, or compare without --yolo-trtexec",
            )
