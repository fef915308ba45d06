"""What changed between two engines of one model: layers are matched by the ONNX nodes that they were made from."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from attrs import evolve, frozen

from polyyolo.engine_layers.exported import Exported, Role
from polyyolo.engine_layers.findings import summed
from polyyolo.engine_layers.links import traffic
from polyyolo.engine_layers.reading import Times
from polyyolo.engine_layers.timing import of_one_profile, timed
from polyyolo.errors import InputError

STEPS = ("QuantizeLinear", "DequantizeLinear")


@frozen
class Side:
    """One engine's layers for a part of the model.

    Attributes:
        layers: names, conversions and copies in front of them included.
        types: what flows in and out of what computes, as "INT8 NC/32HW32 -> INT8 NC/32HW32".
        time_ms: of all of them; None without a profile.
        moves_ms: of conversions and copies alone.
    """

    layers: tuple[str, ...]
    types: tuple[str, ...]
    time_ms: float | None
    moves_ms: float | None


@frozen
class Change:
    """One part of the model in two engines: the smallest set of nodes that both keep together.

    Attributes:
        part: name of its first convolution, else of its first node.
        extra_ms: how much longer the second takes; None without both profiles.
    """

    part: str
    first: Side
    second: Side
    extra_ms: float | None

    @property
    def is_other(self) -> bool:
        """Whether types, layouts or the number of layers differ."""
        return self.first.types != self.second.types or len(self.first.layers) != len(self.second.layers)


@frozen
class Timed:
    """An engine's layers with the times of its profile."""

    layers: tuple[Exported, ...]
    times: Times | None = None

    @property
    def each_ms(self) -> Sequence[float | None]:
        """The time of each layer; None where it is not known."""
        return timed(self.layers, self.times) if self.times is not None else [None] * len(self.layers)


def changes(first: Timed, second: Timed) -> tuple[Change, ...]:
    """Compare two engines, what costs the second the most time first; without both profiles in the order of the first.

    Each is taken in one of its optimisation profiles, as ``findings`` does.

    Raises:
        InputError: they have hardly a node in common, or a profile is another engine's.
    """
    first, second = (evolve(each, layers=of_one_profile(each.layers, each.times)) for each in (first, second))
    parts: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    groups = _Groups()
    for engine in (first, second):
        for layer in engine.layers:
            groups.join(_nodes(layer))
    for side, engine in enumerate((first, second)):
        for place, nodes in _owners(engine.layers):
            parts[groups.of(nodes[0])][side].append(place)
    shared = sum(1 for one, other in parts.values() if one and other)
    if 2 * shared < len(parts):
        raise InputError(
            f"the engines share {shared} of {len(parts)} parts: they are of different models",
            fix="compare engines of one model, built with detailed profiling verbosity",
        )
    found = [_change(first, second, sides) for sides in parts.values()]
    return tuple(sorted(found, key=lambda change: -(change.extra_ms or 0.0)))


class _Groups:
    """Mutable, since joining is what it is for: sets of nodes that some layer of either engine keeps together."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def join(self, nodes: Sequence[str]) -> None:
        for node in nodes:
            self._above[self._root(node)] = self._root(nodes[0])

    def of(self, node: str) -> int:
        return self._numbers.setdefault(self._root(node), len(self._numbers))

    def _root(self, node: str) -> str:
        self._above.setdefault(node, node)
        while self._above[node] != node:
            node = self._above[node]
        return node


def _nodes(layer: Exported) -> tuple[str, ...]:
    """Give the nodes that both engines may have: not those that only quantize."""
    if layer.role is not Role.COMPUTES:
        return ()
    return (
        tuple(node for node in layer.nodes if not any(step in node for step in STEPS)) or layer.nodes or (layer.name,)
    )


def _owners(layers: Sequence[Exported]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Give each layer with the nodes that it belongs to: a conversion to what reads it next, the last to its source."""
    writers, readers = traffic(layers)

    def later(place: int) -> int | None:
        return min(
            (each for out in layers[place].outputs for each in readers.get(out.name, ()) if each > place), default=None
        )

    def earlier(place: int) -> int | None:
        return max(
            (each for read in layers[place].inputs for each in writers.get(read.name, ()) if each < place), default=None
        )

    for place, layer in enumerate(layers):
        served = _first_computing(place, later, layers)
        served = _first_computing(place, earlier, layers) if served is None else served
        if served is not None and layer.kind != "Constant":
            yield place, _nodes(layers[served])


def _first_computing(place: int | None, step: Callable[[int], int | None], layers: Sequence[Exported]) -> int | None:
    while place is not None and layers[place].role is not Role.COMPUTES:
        place = step(place)
    return place


def _change(first: Timed, second: Timed, places: tuple[list[int], list[int]]) -> Change:
    sides = [_side(engine, mine) for engine, mine in zip((first, second), places, strict=True)]
    times = [side.time_ms if side.layers else 0.0 for side in sides]
    both = [engine.times is not None for engine in (first, second)]
    named = [engine.layers[place] for engine, mine in zip((first, second), places, strict=True) for place in mine]
    return Change(
        part=_part(named),
        first=sides[0],
        second=sides[1],
        extra_ms=(times[1] or 0.0) - (times[0] or 0.0) if all(both) else None,
    )


def _part(layers: Sequence[Exported]) -> str:
    computing = [layer for layer in layers if layer.role is Role.COMPUTES]
    weighted = [layer for layer in computing if layer.is_weighted]
    return next(iter(_nodes((weighted or computing)[0])))


def _side(engine: Timed, places: Sequence[int]) -> Side:
    each_ms = engine.each_ms
    mine = [engine.layers[place] for place in places]
    moves = [place for place in places if engine.layers[place].move]
    return Side(
        layers=tuple(layer.name for layer in mine),
        types=tuple(
            f"{_some(layer.inputs)} -> {_some(layer.outputs)}" for layer in mine if layer.role is Role.COMPUTES
        ),
        time_ms=summed([each_ms[place] for place in places]),
        moves_ms=summed([each_ms[place] for place in moves]),
    )


def _some(tensors: Sequence[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, tensors)))
