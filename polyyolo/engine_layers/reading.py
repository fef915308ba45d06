"""Files of trtexec: ``--exportLayerInfo`` of TensorRT 8.5 to 11, and ``--exportProfile``."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyyolo.engine_layers.exported import Exported, read_layer
from polyyolo.errors import InputError
from polyyolo.files import refuse_endless

Times = Mapping[str, float | None]
"""Layer, as ``told_apart`` names it -> milliseconds, by TensorRT's profiler; None where it gave no number."""

DETAILED = (
    "build it with polyyolo build, or with detail: trtexec --profilingVerbosity=detailed, polygraphy convert "
    "--profiling-verbosity detailed"
)
EXPORT = "export it again: trtexec --loadEngine=ENGINE --exportLayerInfo=layers.json --skipInference"
PROFILE = "trtexec --loadEngine=ENGINE --separateProfileRun --exportProfile=profile.json"
_LINE = re.compile(
    r'"name" : "(?P<name>.*)", "timeMs" : .*?"averageMs" : (?P<mean>\S+?),(?: "medianMs" : (?P<median>\S+?),)?'
)


def read_layers(path: Path) -> tuple[Exported, ...]:
    """Read the layers that trtexec, or the inspector of TensorRT's API, exported.

    Raises:
        InputError: no such file, damaged, of another kind, or with names alone.
    """
    text = text_of(path)
    try:
        # Metadata separates the names of nodes with a control character, which JSON forbids.
        data = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}", fix=EXPORT) from error
    return layers_in(data, str(path))


def layers_in(data: object, source: str) -> tuple[Exported, ...]:
    """Find the layers in what the inspector gave, parsed.

    Raises:
        InputError: they are not there, or only their names are.
    """
    entries = data.get("Layers") if isinstance(data, Mapping) else data
    if not isinstance(entries, list) or not all(isinstance(entry, str | Mapping) for entry in entries):
        raise InputError(f'{source} holds no list "Layers": it is no layer information', fix=EXPORT)
    if any(isinstance(entry, Mapping) and "LayerType" not in entry for entry in entries):
        raise InputError(f'{source} lists something without a "LayerType": it is no layer information', fix=EXPORT)
    if not entries:
        raise InputError(f"{source} tells of no layer", fix=DETAILED)
    if any(isinstance(entry, str) for entry in entries):
        raise InputError(f"{source} holds names of {len(entries)} layers and nothing else about them", fix=DETAILED)
    return tuple(read_layer(entry) for entry in entries)


def read_profile(path: Path) -> Times:
    """Read how long each layer took: the median where trtexec tells it (8.4 and later), else the mean.

    Raises:
        InputError: no such file, damaged, or of another kind.
    """
    text = text_of(path)
    entries = _entries(text)
    if entries is None:
        raise InputError(f"{path} is damaged, or no profile of trtexec", fix=f"write it again: {PROFILE}")
    timed = [(name, time) for name, time in (_timed(entry) for entry in entries) if name]
    times = dict(zip(told_apart(name for name, _ in timed), (time for _, time in timed), strict=True))
    if not times:
        raise InputError(f"{path} times no layer", fix=f"write it again: {PROFILE}")
    return times


def told_apart(names: Iterable[str]) -> Iterator[str]:
    """Number names that come again: TensorRT may give one to several layers, and exports these in their order."""
    seen = Counter[str]()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{seen[name]}: {name}"


def _entries(text: str) -> Sequence[Mapping[str, Any]] | None:
    """Parse JSON, else line by line: trtexec escapes no quotes in names, and writes nan and inf as they are."""
    try:
        data = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        found = [_LINE.search(line) for line in text.splitlines()]
        rows = [{"name": each["name"], "averageMs": each["mean"], "medianMs": each["median"]} for each in found if each]
        return rows if rows and text.rstrip().endswith("]") else None
    if isinstance(data, list) and all(isinstance(entry, Mapping) for entry in data):
        return data
    return None


def _timed(entry: Mapping[str, Any]) -> tuple[str, float | None]:
    told = next((entry[key] for key in ("medianMs", "averageMs") if entry.get(key) is not None), math.nan)
    try:
        time = float(told)
    except (OverflowError, TypeError, ValueError):
        time = math.nan
    return str(entry.get("name", "")), time if math.isfinite(time) and time >= 0 else None


def text_of(path: Path, fix: str = "name a file that trtexec exported") -> str:
    """Read what trtexec or a builder wrote.

    Raises:
        InputError: no such file, or a pipe or a device.
    """
    try:
        refuse_endless(path)
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix=fix) from error
