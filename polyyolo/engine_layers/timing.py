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
        InputError: the profile is of another engine.
    """
    bare = {_SUFFIX.sub("", name): time for name, time in times.items()}
    found = [bare.get(_SUFFIX.sub("", layer.name)) for layer in layers]
    total, known = (sum(time or 0.0 for time in each) for each in (times.values(), found))
    if known < KNOWN * total or total == 0:
        share = f"{known / total:.0%}" if total else "none"
        raise InputError(
            f"the profile is of another engine: {share} of its time is of layers that this one has",
            fix=f"profile this engine: {PROFILE}",
        )
    return tuple(found)
