"""Put a profile's times beside the layers that it was measured on."""

import math
from collections.abc import Sequence
from statistics import mode

from polyyolo.engine_layers.exported import PROFILE_NUMBER, Exported
from polyyolo.engine_layers.reading import PROFILE, Times, told_apart
from polyyolo.errors import InputError

KNOWN = 0.9
"""Share of a profile's time that must be of layers that the export has; the rest are TensorRT's own helpers."""


def of_one_profile(layers: Sequence[Exported], times: Times | None = None) -> tuple[Exported, ...]:
    """Choose what runs together: of several optimisation profiles, an engine has a set of layers for each.

    Args:
        layers: of all profiles; names end in the number of theirs, those of the first may have none.
        times: of a run in one of them; None takes the first.
    """
    numbers = {_number(layer.name) for layer in layers}
    ran = mode(map(_number, times)) if times else None
    wanted = ran if ran in numbers else min(numbers, default=0)
    return tuple(layer for layer in layers if _number(layer.name) == wanted)


def _number(name: str) -> int:
    found = PROFILE_NUMBER.search(name)
    return int(found[1]) if found else 0


def timed(layers: Sequence[Exported], times: Times) -> tuple[float | None, ...]:
    """Give the time of each layer in milliseconds; None where the profile has none.

    Raises:
        InputError: the profile is of another engine, or has no time.
    """
    bare = {PROFILE_NUMBER.sub("", name): time for name, time in times.items()}
    found = [bare.get(name) for name in told_apart(PROFILE_NUMBER.sub("", layer.name) for layer in layers)]
    total, known = (sum(time or 0.0 for time in each) for each in (times.values(), found))
    if not math.isfinite(total):
        raise InputError(f"the times of the profile add up to {total}", fix=f"profile this engine: {PROFILE}")
    if total == 0:
        raise InputError("the profile has no time of any layer", fix=f"profile this engine: {PROFILE}")
    if known < KNOWN * total:
        raise InputError(
            f"the profile is of another engine: {known / total:.0%} of its time is of layers that this one has",
            fix=f"profile this engine: {PROFILE}",
        )
    return tuple(found)
