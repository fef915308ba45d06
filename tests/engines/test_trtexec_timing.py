"""One measurement, spelled for every release: no option that the release would refuse, and the same effect."""

import importlib.util
from pathlib import Path

import pytest

from polyyolo.engines.trtexec_timing import Dialect, Timing, timing_flags

SOURCE = Path(__file__).resolve().parent.parent / "fakes" / "dialects.py"
DIALECTS = [Dialect(release) for release in ((8, 5), (8, 6), (9, 3), (10, 0), (10, 16), (11, 0), (11, 1))] + [
    Dialect(rtx=True)
]
TIMINGS = [Timing(), Timing(copies=True), Timing(graph=False), Timing(streams=4), Timing(50, 0.5, 2, False, True)]  # noqa: FBT003 - every field


@pytest.fixture(scope="module")
def options():
    """The options that each release takes, by its source."""
    spec = importlib.util.spec_from_file_location("dialects", SOURCE)
    dialects = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dialects)
    return dialects


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_release_takes_what_it_is_told(options, dialect, timing):
    taken = options.options(dialect.release, rtx=dialect.rtx)

    told = {flag.partition("=")[0] for flag in timing_flags(dialect, timing)}

    assert told <= taken
    assert not (dialect.is_quiet and told & set(options.SILENT))


@pytest.mark.parametrize(
    ("dialect", "timing", "flags"),
    [
        (Dialect((8, 6)), Timing(), ("--useSpinWait", "--useCudaGraph", "--noDataTransfers")),
        (Dialect((10, 16)), Timing(copies=True), ("--useSpinWait", "--useCudaGraph")),
        (Dialect((10, 16)), Timing(graph=False), ("--useSpinWait", "--noDataTransfers")),
        (Dialect((11, 1)), Timing(), ()),
        (Dialect((11, 1)), Timing(graph=False, copies=True), ("--noCudaGraph", "--includeDataTransfers")),
        (Dialect(rtx=True), Timing(graph=False), ("--rtxCudaGraphStrategy=disable",)),
        (Dialect((8, 5)), Timing(streams=2), ("--streams=2", "--useSpinWait", "--useCudaGraph", "--noDataTransfers")),
        (Dialect((11, 0)), Timing(streams=2), ("--infStreams=2",)),
    ],
)
def test_defaults_that_11_turned_over_are_told_where_they_differ(dialect, timing, flags):
    assert timing_flags(dialect, timing) == ("--warmUp=500", "--duration=3", "--percentile=90,95,99", *flags)
