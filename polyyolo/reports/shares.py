"""Layers by precision and by reason: shares of the work in the ONNX, shares of the time in the engine."""

from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import frozen

from polyyolo.records import EngineLayer, Layer


@frozen
class Share:
    """A part of a whole, 0 to 1, of so many layers."""

    name: str
    share: float
    layers: int


def work_shares(listed: Sequence[Layer]) -> list[Share]:
    """Give the share of the multiply-accumulates by precision, the largest first."""
    return _shares((layer.precision.value.upper(), layer.macs) for layer in listed if layer.macs)


def reasons(listed: Sequence[Layer]) -> list[Share]:
    """Give the share of the multiply-accumulates that stays in float, by reason."""
    total = sum(layer.macs for layer in listed) or 1
    found = _counted((layer.reason, layer.macs) for layer in listed if layer.reason)
    return [Share(name, work / total, count) for name, (work, count) in found.items()]


def time_shares(listed: Sequence[EngineLayer]) -> list[Share]:
    """Give the share of the engine's time by precision, the largest first; of its layers where no time is known."""
    timed = any(layer.time_ms for layer in listed)
    return _shares((layer.precision or "unknown", (layer.time_ms or 0.0) if timed else 1) for layer in listed)


def _shares(weighed: Iterable[tuple[str, float]]) -> list[Share]:
    found = _counted(weighed)
    total = sum(weight for weight, _ in found.values()) or 1
    shares = [Share(name, weight / total, count) for name, (weight, count) in found.items()]
    return sorted(shares, key=lambda each: -each.share)


def _counted(weighed: Iterable[tuple[str, float]]) -> dict[str, tuple[float, int]]:
    weights: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for name, weight in weighed:
        weights[name] += weight  # type: ignore[assignment] # a Counter adds floats as well
        counts[name] += 1
    return {name: (weights[name], count) for name, count in counts.items()}
