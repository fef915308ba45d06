"""What trtexec writes of an engine's outputs: six digits as JSON in every release, the bytes themselves from 8.6 on."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BARE = re.compile(r"(?<=[\[ ,])-?(?:nan|inf)(?=[\], ])")
"""How C++ prints what JSON has no words for; Python's JSON has them, but no "-NaN"."""
WORDS = {"inf": "Infinity", "-inf": "-Infinity"}
BYTES_SINCE = (8, 6)
"""The first release with --dumpRawBindingsToFile."""
DUMPED = re.compile(r"Writing file for output binding (.+) \(with datatype (\w+) and dimensions ([\d.]*)\) to (.+)")
TYPES: dict[str, np.dtype[Any]] = {
    **dict.fromkeys(("fp32", "float"), np.dtype(np.float32)),
    **dict.fromkeys(("fp16", "half"), np.dtype(np.float16)),
    **{name: np.dtype(name) for name in ("int8", "int32", "int64", "uint8", "bool")},
}
"""Both ways in which releases of trtexec spell types, in small letters."""

Array = npt.NDArray[np.float32]


def read_outputs(text: str) -> dict[str, Array]:
    """Read what ``--exportOutput`` writes: a list of name, "1x84x8400" and all values with six digits.

    Returns:
        Output name -> float32.

    Raises:
        ValueError: it is no JSON, holds what is no float, or more or fewer values than its dimensions say.
        LookupError: an output lacks one of the three.
    """
    try:
        entries = json.loads(BARE.sub(lambda found: WORDS.get(found[0], "NaN"), text))
        return {entry["name"]: _array(entry) for entry in entries}
    except (OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _array(entry: Mapping[str, object]) -> Array:
    return np.asarray(entry["values"], np.float32).reshape(_sizes(str(entry["dimensions"]), "x"))


def _sizes(text: str, between: str) -> list[int]:
    return [int(size) for size in text.split(between) if size]


def read_bytes(log: str, folder: Path) -> dict[str, npt.NDArray[Any]]:
    """Read what ``--dumpRawBindingsToFile`` wrote.

    Args:
        log: what trtexec printed; it alone tells names, types and shapes whole.
        folder: where trtexec ran.

    Returns:
        Output name -> array of the engine's own type.

    Raises:
        OSError: a file is missing.
        ValueError: a file holds more or fewer values than its dimensions say.
        LookupError: the log names no outputs, or one in a type that numpy has not.
    """
    found = DUMPED.findall(log)
    if not found:
        raise LookupError("the log names no outputs")
    return {
        name: np.fromfile(folder / file, TYPES[kind.lower()]).reshape(_sizes(sizes, "."))
        for name, kind, sizes, file in found
    }
