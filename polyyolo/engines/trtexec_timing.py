"""How trtexec 8.5 to 11 and tensorrt_rtx are told to measure, so that what they measure is the same.

Until 10 trtexec copies inputs and outputs, sleeps while the GPU works and launches kernel by kernel; 11.0 turned all
three over, and tensorrt_rtx is like 11. Durations that the defaults agree on are told all the same.
"""

from collections.abc import Iterator

from attrs import frozen

QUIET_DEFAULTS = (11, 0)
"""The first release that leaves the copies out, spins and uses a CUDA graph unless told otherwise."""
INF_STREAMS = (8, 6)
"""The first release with --infStreams; it was --streams before."""


@frozen
class Timing:
    """What shapes a measurement.

    Attributes:
        warm_up_ms: queries in this time are not counted.
        duration_s: at least so long is measured.
        streams: how many queries run at the same time.
        graph: launch a query as one CUDA graph, not kernel by kernel.
        copies: move inputs to the GPU and outputs back with each query.
    """

    warm_up_ms: int = 500
    duration_s: float = 3.0
    streams: int = 1
    graph: bool = True
    copies: bool = False


@frozen
class Dialect:
    """Which options a program takes: trtexec of a release, or tensorrt_rtx."""

    release: tuple[int, int] = (0, 0)
    rtx: bool = False

    @property
    def is_quiet(self) -> bool:
        """Whether it leaves the copies out, spins and uses a CUDA graph unless told otherwise."""
        return self.rtx or self.release >= QUIET_DEFAULTS


def timing_flags(dialect: Dialect, timing: Timing) -> tuple[str, ...]:
    """Spell a measurement for one program; it waits for the GPU by spinning in every case."""
    return (
        f"--warmUp={timing.warm_up_ms}",
        f"--duration={timing.duration_s:g}",
        "--percentile=90,95,99",
        *_streams(dialect, timing),
        *(_changed_defaults(dialect, timing) if dialect.is_quiet else _asked_for(timing)),
    )


def _streams(dialect: Dialect, timing: Timing) -> Iterator[str]:
    if timing.streams > 1:
        name = "infStreams" if dialect.rtx or dialect.release >= INF_STREAMS else "streams"
        yield f"--{name}={timing.streams}"


def _asked_for(timing: Timing) -> Iterator[str]:
    yield "--useSpinWait"
    if timing.graph:
        yield "--useCudaGraph"
    if not timing.copies:
        yield "--noDataTransfers"


def _changed_defaults(dialect: Dialect, timing: Timing) -> Iterator[str]:
    if not timing.graph:
        yield "--rtxCudaGraphStrategy=disable" if dialect.rtx else "--noCudaGraph"
    if timing.copies:
        yield "--includeDataTransfers"
