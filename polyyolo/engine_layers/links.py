"""Which layers feed which, by the names of their tensors; copies and conversions between them are looked through."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import frozen

from polyyolo.engine_layers.exported import Exported, Role

INPUT, OUTPUT = -1, -2
"""Stand for the engine's inputs and outputs among the neighbours."""

Neighbours = Mapping[int, frozenset[int]]


@frozen
class Links:
    """Neighbours of each layer that computes, by place in the list.

    Attributes:
        up: what it reads from; ``INPUT`` for an input of the engine.
        down: what reads it; ``OUTPUT`` for an output of the engine.
    """

    up: Neighbours
    down: Neighbours

    def above(self, places: Iterable[int]) -> set[int]:
        """Find everything that flows into these layers, however far away; the layers themselves only where they do."""
        found: set[int] = set()
        waiting = [place for start in places for place in self.up[start]]
        while waiting:
            place = waiting.pop()
            if place not in found and place != INPUT:
                found.add(place)
                waiting.extend(self.up[place])
        return found


def traffic(layers: Sequence[Exported]) -> tuple[Mapping[str, list[int]], Mapping[str, list[int]]]:
    """Find which layers write a tensor, and which read it: name -> their places, in order."""
    writers, readers = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for place, layer in enumerate(layers):
        for tensor in layer.outputs:
            writers[tensor.name].append(place)
        for tensor in layer.inputs:
            readers[tensor.name].append(place)
    return writers, readers


def link(layers: Sequence[Exported]) -> Links:
    """Connect the layers. Several may write into one tensor: each its part of a Concat."""
    writers, readers = traffic(layers)

    def before(place: int) -> list[int]:
        return [each for tensor in layers[place].inputs for each in writers.get(tensor.name, [INPUT])]

    def after(place: int) -> list[int]:
        return [each for tensor in layers[place].outputs for each in readers.get(tensor.name, [OUTPUT])]

    computing = [place for place, layer in enumerate(layers) if layer.role is Role.COMPUTES]
    return Links(
        {place: _nearest(place, before, layers) for place in computing},
        {place: _nearest(place, after, layers) for place in computing},
    )


def _nearest(start: int, following: Callable[[int], list[int]], layers: Sequence[Exported]) -> frozenset[int]:
    """Go on from ``start`` until layers that compute, or the engine's end, are reached on every way."""
    found, seen, waiting = set(), {start}, following(start)
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        if place in (INPUT, OUTPUT) or layers[place].role is Role.COMPUTES:
            found.add(place)
        else:
            waiting.extend(following(place))
    return frozenset(found)
