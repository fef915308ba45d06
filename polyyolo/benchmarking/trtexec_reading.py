"""What one run of trtexec came to: exported times where there are some, else the summary in its log."""

from attrs import evolve

from polyyolo.benchmarking.reading import Reading, reading_of
from polyyolo.engines.trtexec_results import Times, lacks_graph, read_summary, remarks_in, shapes_in, value_in

LOST = "no exported times could be read: the figures are those of the log"


def of_times(times: Times, log: str) -> Reading:
    """Read a measurement whose times were exported; program and command are the caller's to add.

    Args:
        times: of single queries.
        log: all that trtexec printed.
    """
    read = reading_of(times)
    said = (remark for remark in remarks_in(log) if "unstable" not in remark)  # our own says how unsteady
    return _told(evolve(read, remarks=(*said, *read.remarks)), log)


def of_summary(log: str) -> Reading | None:
    """Read a measurement whose times were lost; None where nothing was measured."""
    found = read_summary(log)
    if found is None:
        return None
    return _told(Reading(found.queries_per_s, found.compute, found.total, remarks=(*remarks_in(log), LOST)), log)


def _told(read: Reading, log: str) -> Reading:
    return evolve(read, shapes=shapes_in(log), gpu=value_in(log, "Selected Device"), graph=not lacks_graph(log))
