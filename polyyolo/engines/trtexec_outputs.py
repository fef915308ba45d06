"""What trtexec's ``--exportOutput`` writes, of every release."""

import json
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

BARE = re.compile(r"(?<=[\[ ,])-?(?:nan|inf)(?=[\], ])")
"""How C++ prints what JSON has no words for; Python's JSON has them, but no "-NaN"."""
WORDS = {"inf": "Infinity", "-inf": "-Infinity"}

Array = npt.NDArray[np.float32]


def read_outputs(text: str) -> dict[str, Array]:
    """Read what ``--exportOutput`` writes: a list of name, "1x84x8400" and all values with six digits.

    Returns:
        Output name -> float32.

    Raises:
        ValueError: it is no JSON, or holds more or fewer values than its dimensions say.
        LookupError: an output lacks one of the three.
    """
    entries = json.loads(BARE.sub(lambda found: WORDS.get(found[0], "NaN"), text))
    return {entry["name"]: _array(entry) for entry in entries}


def _array(entry: Mapping[str, object]) -> Array:
    sizes = [int(size) for size in str(entry["dimensions"]).split("x") if size]
    return np.asarray(entry["values"], np.float32).reshape(sizes)
