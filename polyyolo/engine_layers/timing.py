"""Put a profile's times beside the layers that it was measured on."""

import re
from collections.abc import Sequence

from polyyolo.engine_layers.exported import Exported
from polyyolo.engine_layers.reading import PROFILE, Times
from polyyolo.errors import InputError

KNOWN = 0.9
"""Share of a profile's time that must be of layers that the export has; the rest are TensorRT's own helpers."""
_SUFFIX = re.compile(r" \[profile \d+\]$")


def timed(layers: Sequence[Exported], times: Times) -> tuple[float | None, ...]:
    """Give the time of each layer in milliseconds; None where the profile has none.

    Raises:
        InputError: the profile is of another engine, or has no time.
    """
    bare = {_SUFFIX.sub("", name): time for name, time in times.items()}
    found = [bare.get(_SUFFIX.sub("", layer.name)) for layer in layers]
    total, known = (sum(time or 0.0 for time in each) for each in (times.values(), found))
    if total == 0:
        raise InputError("the profile has no time of any layer", fix=f"profile this engine: {PROFILE}")
    if known < KNOWN * total:
        raise InputError(
            f"the profile is of another engine: {known / total:.0%} of its time is of layers that this one has",
            fix=f"profile this engine: {PROFILE}",
        )
    return tuple(found)
