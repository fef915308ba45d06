"""Which nodes cost the most accuracy for what they compute: each quantized alone, measured at the model's outputs.

Noise of tensors quantized alone adds up to about that of all of them together (0.022 against 0.018 on YOLOv8n, 0.0104
against 0.0097 on YOLOv4-tiny), so that the best nodes to keep in float under a budget are those with the most noise for
their work.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice
from operator import itemgetter
from typing import Any, Protocol, TypeVar

import numpy as np
import onnx
from attrs import evolve, frozen
from numpy.typing import NDArray

from polyyolo.calibration.watching import pieces
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load
from polyyolo.progress import advance, step
from polyyolo.quantization.flow import Flow
from polyyolo.quantization.graph import imported
from polyyolo.quantization.halfway import Halfway
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.placement import Placement, left_of
from polyyolo.quantization.topology import data_of, identity, is_weighted
from polyyolo.records import CalibrationTable, ModelSpec, Sensitivity

Array = NDArray[np.generic]
Given = Mapping[str, Array]
"""Input name -> what a model is given for one picture."""
Sight = TypeVar("Sight")
STEP = "sensitivity"
WORTH = 0.2
"""Share of the noise for each share of the time that a node must have to be kept in float, times the budget.

With a tenth of the work, twice its share of the time; whoever gives twice the budget asks half of that.
"""

MUCH = 0.03
"""Noise of a whole model, as power against the signal's, from which on a node's is held against this and not the whole.

YOLOv5s, YOLOv8n and YOLOv4-tiny have 0.005 to 0.022. Where one tensor alone has 0.69, as in YOLOX-nano, the others are
small beside it and too much by themselves.
"""


class Gauge(Protocol[Sight]):
    """What tells how much noise matters; ``verification.gauge`` has the one for YOLO heads."""

    def see(self, outputs: Mapping[str, Array]) -> Sight | None:
        """Keep what matters of the FP32 outputs for one picture; None where nothing does."""

    def noise(self, sight: Sight, outputs: Mapping[str, Array]) -> float:
        """Give the noise of other outputs for the same picture, as power against the signal's."""


@frozen(eq=False)
class Trial:
    """A few pictures on which quantized variants of one model are held against it.

    Attributes:
        model: in FP32: the whole, or the rest of it behind what is given.
        gauge: tells what matters of its outputs.
        given: what the model is given for each picture.
        sights: what the FP32 model sees on each.
    """

    model: onnx.ModelProto
    gauge: Gauge[Any]
    given: tuple[Given, ...]
    sights: tuple[Any, ...]

    @classmethod
    def on(
        cls, spec: ModelSpec, gauge: Gauge[Sight], pictures: Iterable[Array], count: int, tries: int = 32
    ) -> "Trial":
        """Run the FP32 model over pictures until it saw something on ``count`` of them, or ``tries`` were run.

        Args:
            spec: the FP32 model.
            gauge: tells what matters.
            pictures: (B, C, H, W) batches that fit the model; of each, the first picture is used, or all of them where
                the model's batch is fixed.
            count: how many batches to measure on.
            tries: how many to look at for that.
        """
        model = load(spec.path)
        first = ({spec.image: next(iter(pieces(spec, batch)))} for batch in islice(pictures, tries))
        seen = ((given, gauge.see(outputs)) for given, outputs in _run(model, first))
        found = list(islice(((given, sight) for given, sight in seen if sight is not None), count))
        return cls(model, gauge, tuple(given for given, _ in found), tuple(sight for _, sight in found))

    @property
    def pictures(self) -> int:
        """On how many pictures something was seen."""
        return len(self.sights)

    def noise(self, placement: Placement, table: CalibrationTable) -> float:
        """Quantize as placed and give the median noise over the pictures: one odd picture decides nothing."""
        outputs = _run(insert(self.model, placement, table), self.given)
        noises = [self.gauge.noise(sight, got) for (_, got), sight in zip(outputs, self.sights, strict=True)]
        return float(np.median(noises))

    def begun_at(self, tensor: str, halfway: Halfway) -> "Trial":
        """Compute once what comes before a tensor: what is tried from there on need not. Itself where that cannot be.

        Args:
            tensor: made behind where this one begins.
            halfway: of the whole FP32 model.
        """
        known = halfway.known_at(tensor)
        if known is None or not self.given:
            return self
        before = list(self.given[0])
        made = [name for name in known if name not in before]
        computed = _run(halfway.between(before, made), self.given) if made else ((each, {}) for each in self.given)
        kept = ({**given, **more} for given, more in computed)
        return evolve(
            self, model=halfway.rest(known), given=tuple({name: each[name] for name in known} for each in kept)
        )


def _run(model: onnx.ModelProto, feeds: Iterable[Given]) -> Iterator[tuple[Given, dict[str, Array]]]:
    session = open_session(model.SerializeToString())
    names = [output.name for output in model.graph.output]
    for given in feeds:
        yield given, dict(zip(names, session.run(names, given), strict=True))


def sensitivities(
    trial: Trial, spec: ModelSpec, placement: Placement, table: CalibrationTable, macs: Mapping[str, int]
) -> tuple[Sensitivity, ...]:
    """Measure what quantizing each tensor alone costs, the most costly first.

    Args:
        trial: pictures with something to see on them, with the whole model.
        spec: the FP32 model.
        placement: all that could be quantized.
        table: ranges of the tensors.
        macs: multiply-accumulates by node identity.
    """
    readers = readers_of(spec, placement)
    halfway = Halfway(trial.model)
    found = []
    with step(STEP, len(readers)):
        for tensor in sorted(readers, key=halfway.place):
            nodes = readers[tensor]
            trial = trial.begun_at(tensor, halfway)
            alone = evolve(placement, nodes=nodes, groups=((tensor,),))
            work = sum(macs.get(node, 0) for node in nodes)
            found.append(Sensitivity(tensor, nodes, trial.noise(alone, table), work))
            advance(STEP)
    return tuple(sorted(found, key=lambda each: -each.noise))


def most_costly(found: Sequence[Sensitivity], flow: Flow, budget: float) -> tuple[str, ...]:
    """Choose the nodes with the most noise for the time that INT8 saves there, as many as fit into a share of all work.

    What INT8 makes slower is chosen whatever its noise and its work. The others come alone or with a neighbour, since
    what a node costs in float depends on those: two in a row have one border less, and may be worth it together where
    neither is alone.

    Args:
        found: from ``sensitivities``.
        flow: what float costs in time.
        budget: share of the model's multiply-accumulates that may be in float, 0 to 1, with what stays there anyway.

    Returns:
        identities of nodes.
    """
    least = WORTH / (budget or 1.0) * min(sum(each.noise for each in found), MUCH) / (flow.time or 1.0)
    wide = [each for each in found if not flow.wide_on_picture.isdisjoint(each.nodes)]
    chosen = tuple(node for each in wide for node in each.nodes)
    room = left_of(budget, flow.macs, flow.in_float.union(chosen))
    alone = [each for each in found if each.noise > 0 and each not in wide]
    left = [*alone, *_neighbours(alone, flow)]
    while fitting := [each for each in left if each.macs <= room]:
        before = flow.cost(chosen)
        gains = [each.noise / max(flow.cost((*chosen, *each.nodes)) - before, 1.0) for each in fitting]
        gain, best = max(zip(gains, fitting, strict=True), key=itemgetter(0))
        if gain < least:
            break
        room -= best.macs
        chosen += best.nodes
        left = [each for each in left if set(each.nodes).isdisjoint(best.nodes)]
    return chosen


def _neighbours(found: Sequence[Sensitivity], flow: Flow) -> Iterator[Sensitivity]:
    """Give every two whose nodes compute from one another as one; noises add up, and the first gives the tensor."""
    for one, two in combinations(found, 2):
        if flow.joins(one.nodes, two.nodes):
            nodes, noise, macs = (*one.nodes, *two.nodes), one.noise + two.noise, one.macs + two.macs
            yield evolve(one, nodes=nodes, noise=noise, macs=macs)


def readers_of(spec: ModelSpec, placement: Placement) -> dict[str, tuple[str, ...]]:
    """Group the placement's nodes by the activation that they read."""
    chosen = set(placement.nodes)
    readers: dict[str, list[str]] = {}
    for node in imported(load(spec.path)).nodes:
        if is_weighted(node) and identity(node) in chosen:
            readers.setdefault(data_of(node).name, []).append(identity(node))
    return {tensor: tuple(nodes) for tensor, nodes in readers.items()}
