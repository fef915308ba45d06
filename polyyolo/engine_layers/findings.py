"""What an engine's layers come to: how much runs in INT8, what is spent on moving data, what fell back and why."""

from collections import defaultdict
from collections.abc import Sequence

from attrs import frozen

from polyyolo.engine_layers.exported import IDLE, Exported, Role
from polyyolo.engine_layers.links import Links, link
from polyyolo.engine_layers.reading import Times
from polyyolo.engine_layers.reasons import reasons
from polyyolo.engine_layers.timing import of_one_profile, timed
from polyyolo.records.layers import EngineLayer


@frozen
class Moves:
    """Layers that compute nothing.

    Attributes:
        purpose: "type or layout", "copy into a Concat", "quantize" or "requantize".
        time_ms: of all of them; None without a profile.
    """

    purpose: str
    count: int
    time_ms: float | None


@frozen
class Island:
    """Float layers, one feeding the other, with INT8 all around: each border costs a conversion."""

    layers: tuple[str, ...]
    time_ms: float | None


@frozen
class Findings:
    """One engine.

    Attributes:
        layers: in the engine's order.
        time_ms: of all layers, one after the other; more than a query takes when run as a CUDA graph. None without a
            profile.
        coverage: share of the layers that compute which do so in INT8, 0 to 1: of their time, without a profile of
            their number.
        weighted: convolutions and matrix products.
        weighted_int8: of these in INT8.
    """

    layers: tuple[EngineLayer, ...]
    time_ms: float | None
    coverage: float
    weighted: int
    weighted_int8: int
    moves: tuple[Moves, ...]
    islands: tuple[Island, ...]

    @property
    def busy(self) -> tuple[EngineLayer, ...]:
        """The layers that take time, as far as that is known."""
        return tuple(layer for layer in self.layers if layer.time_ms != 0 and layer.kind not in IDLE)


def findings(
    layers: Sequence[Exported], times: Times | None = None, unscaled: frozenset[str] = frozenset()
) -> Findings:
    """Sum up an engine, in one of its optimisation profiles: that of the times, else the first.

    Args:
        layers: as they were exported.
        times: of a run.
        unscaled: tensors that the build found no scale for.

    Raises:
        InputError: the times are another engine's.
    """
    layers = of_one_profile(layers, times)
    each_ms = timed(layers, times) if times is not None else (None,) * len(layers)
    total = sum(time or 0.0 for time in each_ms) if times is not None else None
    links = link(layers)
    why = reasons(layers, links, unscaled)
    weight = {
        place: 1.0 if total is None else each_ms[place] or 0.0
        for place, layer in enumerate(layers)
        if layer.role is Role.COMPUTES
    }
    computed = sum(weight.values())
    return Findings(
        layers=tuple(
            record(layer, time, total, why.get(place, ""))
            for place, (layer, time) in enumerate(zip(layers, each_ms, strict=True))
        ),
        time_ms=total,
        coverage=sum(share for place, share in weight.items() if layers[place].is_int8) / computed if computed else 0.0,
        weighted=sum(layer.is_weighted for layer in layers),
        weighted_int8=sum(layer.is_weighted and layer.is_int8 for layer in layers),
        moves=_moves(layers, each_ms),
        islands=_islands(layers, links, each_ms),
    )


def record(layer: Exported, time: float | None, total: float | None, reason: str) -> EngineLayer:
    """Write one layer down."""
    return EngineLayer(
        name=layer.name,
        kind=layer.kind,
        precision=layer.precision,
        inputs=tuple(map(str, layer.inputs)),
        outputs=tuple(map(str, layer.outputs)),
        nodes=layer.nodes,
        time_ms=time,
        share=time / total if time is not None and total else None,
        move=layer.move,
        reason=reason,
    )


def summed(times: Sequence[float | None]) -> float | None:
    """Add up what is known; None where nothing is."""
    known = [time for time in times if time is not None]
    return sum(known) if known else None


def _moves(layers: Sequence[Exported], each_ms: Sequence[float | None]) -> tuple[Moves, ...]:
    by_purpose = defaultdict(list)
    for layer, time in zip(layers, each_ms, strict=True):
        if layer.move:
            by_purpose[layer.move].append(time)
    return tuple(Moves(purpose, len(times), summed(times)) for purpose, times in by_purpose.items())


def _islands(layers: Sequence[Exported], links: Links, each_ms: Sequence[float | None]) -> tuple[Island, ...]:
    """Collect connected float layers, and keep those whose every other neighbour computes in INT8."""
    left = [place for place in links.up if not layers[place].is_int8]
    seen: set[int] = set()
    found = []
    for start in left:
        if start in seen:
            continue
        together, around = _connected(start, links, layers)
        seen |= together
        if around and all(place >= 0 for place in around):
            members = sorted(together)
            found.append(
                Island(tuple(layers[place].name for place in members), summed([each_ms[place] for place in members]))
            )
    return tuple(found)


def _connected(start: int, links: Links, layers: Sequence[Exported]) -> tuple[set[int], set[int]]:
    """Give the float layers that ``start`` is connected with, and all that lies next to them."""
    together, around, waiting = set(), set(), [start]
    while waiting:
        place = waiting.pop()
        if place < 0 or layers[place].is_int8:
            around.add(place)
        elif place not in together:
            together.add(place)
            waiting.extend(links.up[place] | links.down[place])
    return together, around
