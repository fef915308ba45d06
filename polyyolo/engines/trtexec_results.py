"""What trtexec measured: its exported times first, its log second. The formats are the same from 8.5 to 11."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import frozen

from polyyolo.errors import InputError
from polyyolo.files import refuse_endless, structure
from polyyolo.records import Latency, ShapeRange

SHORTEST = 0.5
"""Share of the longest query that all queries take at least, from first to last: clocks differ a little."""
Series = npt.NDArray[np.float64]
_BINDING = re.compile(
    r"(?:Created input|Input) binding for (.+?) with dimensions (\d+(?:x\d+)*)(?: and type \w+)?(?: is created\.)?\s*$",
    re.MULTILINE,
)
"""Created up to 8.6.0, is created from 8.6.1 on, and with its type from 11.0 on."""
_PROFILE = re.compile(r"Model input (.+) \(profile (\d+)\): min=([\dx]+), opt=([\dx]+), max=([\dx]+)")
_SPREAD = re.compile(r"(min|max|mean|median|percentile\(\d+%\)) = ([-+.\de]+) ms")
_NO_GRAPH = "--useCudaGraph flag has been ignored|CUDA graph capture failed"
"""What it says of a missing CUDA graph: up to TensorRT 10, and from 11.0 on."""
_FIELDS = {"min": "min_ms", "mean": "mean_ms", "median": "median_ms", "max": "max_ms"} | {
    f"percentile({share}%)": f"p{share}_ms" for share in (90, 95, 99)
}


@frozen(eq=False)
class Times:
    """Each query of a run, in order.

    Attributes:
        compute_ms: (N,) from the first kernel's start to the last one's end.
        total_ms: (N,) with the copies to the GPU and back, where they were not left out.
        span_ms: from the first query's start to the last one's end.
    """

    compute_ms: Series
    total_ms: Series
    span_ms: float


@frozen
class Summary:
    """The block "Performance summary" of a log."""

    queries_per_s: float
    compute: Latency
    total: Latency


def read_times(path: Path) -> Times:
    """Read what ``--exportTimes`` wrote; the queries of the warm-up are not in it.

    Raises:
        InputError: the file is missing, cut short, or holds something else.
    """
    try:
        refuse_endless(path)
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
        columns = {
            key: np.array([float(entry[key]) for entry in entries])
            for key in ("computeMs", "latencyMs", "startH2dMs", "endD2hMs")
        }
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"cannot read the times in {path}: {error}", fix="measure again") from error
    compute, total = columns["computeMs"], columns["latencyMs"]
    with np.errstate(over="ignore"):  # what adds up to infinity is refused
        sums = [float(values.sum()) for values in columns.values()]
    if not (compute.size and np.isfinite(sums).all() and (compute > 0).all() and (total > 0).all()):
        raise InputError(f"the times in {path} are none of queries that ran", fix="measure again")
    span = float(columns["endD2hMs"].max() - columns["startH2dMs"].min())
    if span < SHORTEST * compute.max():
        raise InputError(f"the queries in {path} take {span:g} ms from first to last", fix="measure again")
    return Times(compute, total, span)


def read_summary(log: str) -> Summary | None:
    """Read the last summary of a log; None where there is none.

    trtexec prints none with ``--dumpProfile`` and without ``--separateProfileRun``. Lines that begin alike stand in the
    explanations too, so nothing before the summary's own heading counts.
    """
    before, _, block = log.rpartition("=== Performance summary ===")
    throughput = re.search(r"Throughput: ([\d.e+]+) qps", block)
    counted = re.findall(r"Timing trace has (\d+) queries", before)
    samples = int(counted[-1]) if counted else 0
    compute, total = _latency("GPU Compute Time", block, samples), _latency("Latency", block, samples)
    if throughput is None or compute is None or total is None:
        return None
    return Summary(float(throughput[1]), compute, total)


def shapes_in(log: str) -> Mapping[str, tuple[int, ...]]:
    """Read which shapes the inputs had: input name -> shape."""
    return {name: _sizes(sizes) for name, sizes in _BINDING.findall(log)}


def open_inputs_in(log: str) -> Mapping[str, tuple[int, ...]]:
    """Read which inputs have open axes that nobody told: input name -> shape in which trtexec made all of those 1."""
    # There is no space between the name and the next sentence.
    found = re.findall(r"Shape missing for input with dynamic shape: (.+)Automatically setting shape to: ([\dx]+)", log)
    return {name: _sizes(sizes) for name, sizes in found}


def profiles_in(log: str) -> tuple[Mapping[str, ShapeRange], ...]:
    """Read what ``--dumpOptimizationProfile`` printed (9.0 and later)."""
    profiles: dict[int, dict[str, ShapeRange]] = {}
    for name, number, *bounds in _PROFILE.findall(log):
        profiles.setdefault(int(number), {})[name] = ShapeRange(*map(_sizes, bounds))
    return tuple(profiles[number] for number in sorted(profiles))


def value_in(log: str, label: str) -> str:
    """Read one of trtexec's settings, as "Selected Device"; empty where it is not there."""
    found = re.search(rf"\[I\] {re.escape(label)}: (.*)", log)
    return found[1].strip() if found else ""


def remarks_in(log: str) -> tuple[str, ...]:
    """Read the warnings that concern the measurement: what bounds it, what was left out, which shape was made up."""
    lines = re.findall(r"\[W\] (.*)", log)
    return tuple(line.strip("* ") for line in lines if line.startswith("* ") or _concerns(line))


def lacks_graph(log: str) -> bool:
    """Whether the engine could not be captured as a CUDA graph, although that was asked for."""
    return bool(re.search(_NO_GRAPH, log))


def percentile(ordered: Series, share: float) -> float:
    """Take the percentile of sorted times as trtexec does: no mean of neighbours."""
    left_out = int((1 - share / 100) * ordered.size)
    return float(ordered[max(ordered.size - 1 - left_out, 0)])


def _concerns(line: str) -> bool:
    return "Shape missing for input" in line or lacks_graph(line)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split("x"))


def _latency(label: str, block: str, samples: int) -> Latency | None:
    line = re.search(rf"\[I\] {label}: (min = .*)", block)
    spread = dict(_SPREAD.findall(line[1])) if line else {}
    if not set(_FIELDS) <= set(spread):
        return None
    figures = {field: float(spread[label]) for label, field in _FIELDS.items()}
    return structure({"samples": samples, **figures}, Latency)
