"""Which nodes cost the most accuracy for what they compute."""

import numpy as np
import pytest
from attrs import evolve

from polyyolo import progress
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.flow import Flow
from polyyolo.quantization.halfway import Halfway
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import placement_of
from polyyolo.quantization.sensitivity import Trial, most_costly, readers_of, sensitivities
from polyyolo.quantization.work import macs_of
from polyyolo.records import Sensitivity
from polyyolo.verification.gauge import Gauge

SIZE = (64, 64)
RANGES = {
    "images": 1.0,
    "stem": 4.0,
    "down1": 8.0,
    "right": 8.0,
    "m1": 8.0,
    "split": 16.0,
    "cv2": 16.0,
    "p3": 12.0,
    "p4": 8.0,
    "pools": 8.0,
    "top": 8.0,
    "joined": 8.0,
    "middle": 8.0,
}


class EverySecond:
    """A gauge that sees something on every second picture, and counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def see(self, outputs):
        self.asked += 1
        return outputs if self.asked % 2 == 0 else None

    def noise(self, sight, outputs):
        return float(np.abs(sight["output0"] - outputs["output0"]).max())


@pytest.fixture
def spec(little_yolo):
    return read_spec(little_yolo)


@pytest.fixture
def whole(spec):
    return placement_of(spec, SIZE, FloatBudget())


def pictures(count, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.random((1, 3, 64, 64), np.float32) for _ in range(count)]


def test_a_tensor_with_a_range_far_too_wide_costs_the_most(spec, whole, table):
    wide = {**RANGES, "m1": 8000.0}
    trial = Trial.on(spec, Gauge(spec.head), pictures(3), count=3)

    found = sensitivities(trial, spec, whole, table(wide, spec.sha256), macs_of(spec, SIZE))

    assert found[0].tensor == "m1"
    assert found[0].nodes == ("m2_conv",)
    assert found[0].macs == 8 * 8 * 9 * 16 * 16
    assert [each.noise for each in found] == sorted((each.noise for each in found), reverse=True)
    assert {node for each in found for node in each.nodes} == set(whole.nodes)


def test_one_tensor_alone_makes_less_noise_than_all_together(spec, whole, table):
    trial = Trial.on(spec, Gauge(spec.head), pictures(3), count=3)
    ranges = table(RANGES, spec.sha256)

    found = sensitivities(trial, spec, whole, ranges, macs_of(spec, SIZE))

    assert 0 < max(each.noise for each in found) < trial.noise(whole, ranges)


def test_begun_where_a_tensor_is_made_less_is_computed_and_the_noise_is_the_same_to_the_bit(spec, whole, table):
    ranges = table(RANGES, spec.sha256)
    trial = begun = Trial.on(spec, Gauge(spec.head), pictures(3), count=3)
    halfway = Halfway(load(spec.path))
    readers = readers_of(spec, whole)
    nodes = []
    for tensor in sorted(readers, key=halfway.place):
        begun = begun.begun_at(tensor, halfway)
        alone = evolve(whole, nodes=readers[tensor], groups=((tensor,),))
        nodes.append(len(begun.model.graph.node))

        assert begun.noise(alone, ranges) == trial.noise(alone, ranges) > 0

    assert nodes[0] == len(trial.model.graph.node)
    assert nodes == sorted(nodes, reverse=True)
    assert nodes[-1] < nodes[0] / 2


def test_the_model_itself_makes_no_noise(spec, whole, table):
    trial = Trial.on(spec, Gauge(spec.head), pictures(2), count=2)

    assert trial.noise(evolve(whole, nodes=(), groups=()), table(RANGES)) == 0


def test_every_tensor_counts_as_one_piece_of_progress(spec, whole, table):
    class Counter(progress.Silent):
        started_with, advanced_by = 0, 0

        def started(self, step, total):
            self.started_with = total if step == "sensitivity" else self.started_with

        def advanced(self, step, count):
            self.advanced_by += count if step == "sensitivity" else 0

    counter = Counter()
    with progress.listening(counter):
        trial = Trial.on(spec, Gauge(spec.head), pictures(1), count=1)
        found = sensitivities(trial, spec, whole, table(RANGES), {})

    assert counter.started_with == counter.advanced_by == len(found) == 11


def test_pictures_without_anything_to_see_are_passed_over(spec):
    gauge = EverySecond()

    trial = Trial.on(spec, gauge, iter(pictures(20)), count=3)

    assert trial.pictures == 3
    assert gauge.asked == 6, "no more than needed"


def test_no_more_pictures_are_tried_than_told(spec):
    gauge = EverySecond()

    assert Trial.on(spec, gauge, iter(pictures(9)), count=9, tries=5).pictures == 2
    assert gauge.asked == 5


def test_of_a_batch_the_first_picture_serves_where_the_batch_is_open(little_dynamic):
    spec = read_spec(little_dynamic)
    batch = np.concatenate(pictures(4))

    trial = Trial.on(spec, Gauge(spec.head), [batch, batch], count=2)

    assert [given[spec.image].shape[0] for given in trial.given] == [1, 1]


def test_the_file_of_the_model_stays_as_it_is(spec, whole, table):
    before = load(spec.path).SerializeToString()
    trial = Trial.on(spec, Gauge(spec.head), pictures(1), count=1)

    sensitivities(trial, spec, whole, table(RANGES), {})

    assert load(spec.path).SerializeToString() == before


def measured(*entries):
    """Sensitivities of one node each, from (name, noise in thousandths, work)."""
    return [Sensitivity(name, (name,), noise / 1000, work) for name, noise, work in entries]


def flow(found, **between):
    """A model of 100 multiply-accumulates, those among them."""
    work = {each.tensor: each.macs for each in found}
    return Flow({**work, "others": 100 - sum(work.values())}, **between)


@pytest.mark.parametrize(
    ("budget", "chosen"),
    [
        (0.0, ()),
        (0.10, ("dense",)),
        (0.16, ("dense", "small")),
        (0.40, ("dense", "large")),
        (1.0, ("dense", "large", "small")),  # a fifth of the work for a five-hundredth of the noise is not worth it
    ],
)
def test_the_most_noise_for_its_work_is_kept_in_float_while_the_budget_lasts(budget, chosen):
    found = measured(("large", 3.0, 30), ("dense", 2.0, 10), ("small", 0.5, 6), ("idle", 0.01, 20), ("exact", 0.0, 1))

    assert most_costly(found, flow(found), budget) == chosen


def test_a_neighbour_of_what_is_in_float_costs_less_than_an_island_of_its_own():
    """Work and noise of the two are alike; between the picture and b nothing has to be converted."""
    found = measured(("images", 0.5, 10), ("a", 1.0, 10), ("b", 1.0, 10))
    readers = {"images": {"b"}, "b": {"c"}, "c": {"a"}, "a": {"d"}}
    between = flow(found, readers=readers, values=dict.fromkeys(readers, 10))

    wide = frozenset({"images"})
    assert most_costly(found, evolve(between, wide_on_picture=wide), 0.2) == ("images", "b")
    assert most_costly(found, flow(found, wide_on_picture=wide), 0.2) == ("images", "a")


def test_two_in_a_row_are_kept_where_only_both_are_worth_it():
    """a leaves a border behind it, b one before it as well; together they have a's and b's last."""
    million = 10**6
    found = measured(("a", 0.05, 20 * million), ("b", 0.14, 20 * million), ("c", 0.81, 2000 * million))
    between = Flow({each.tensor: each.macs for each in found}, readers={"a": {"b"}, "b": {"c"}, "c": set()})

    for alone in ("a", "b"):
        others = [evolve(each, noise=0.0) if each.tensor == alone else each for each in found[:2]]
        assert most_costly([*others, found[2]], between, 0.10) == ()
    assert set(most_costly(found, between, 0.10)) == {"a", "b"}


def test_one_tensor_of_overwhelming_noise_does_not_make_the_others_small():
    found = measured(("outlier", 700.0, 1), ("loud", 20.0, 1), ("quiet", 0.5, 4))

    assert most_costly(found, flow(found), 0.10) == ("outlier", "loud")
    assert most_costly(found[1:], flow(found[1:]), 0.10) == ("loud",)


def test_more_budget_takes_what_is_worth_less():
    found = measured(("dense", 3.0, 10), ("sparse", 1.0, 20))

    assert most_costly(found, flow(found), 0.30) == ("dense", "sparse"), "a quarter of the noise, a fifth of the time"
    assert most_costly(found, flow(found), 0.10) == ("dense",)
    found = measured(("dense", 3.0, 4), ("sparse", 0.2, 5))
    assert most_costly(found, flow(found), 0.10) == ("dense",), "a sixteenth of the noise, a twentieth of the time"
    assert most_costly(found, flow(found), 0.20) == ("dense", "sparse")


def test_a_wide_kernel_on_the_picture_comes_first_whatever_it_takes():
    found = measured(("large", 3.0, 30), ("dense", 2.0, 10), ("images", 0.01, 5))
    wide = flow(found, wide_on_picture=frozenset({"images"}))

    assert most_costly(found, wide, 0.15) == ("images", "dense")
    assert most_costly(found, wide, 0.10) == ("images",)
    assert most_costly(found, wide, 0.04) == ("images",)
    assert most_costly(found, flow(found), 0.15) == ("dense",)


def test_the_heads_part_of_the_work_is_a_part_of_the_budget():
    found = measured(("dense", 2.0, 10), ("small", 0.5, 6))
    headed = Flow({"dense": 10, "small": 6, "head": 4, "others": 80}, in_float=frozenset({"head"}))

    assert most_costly(found, headed, 0.14) == ("dense",)
    assert most_costly(found, headed, 0.13) == ("small",)
    assert most_costly(found, headed, 0.03) == ()


def test_all_nodes_that_read_a_tensor_go_together():
    found = [Sensitivity("x", ("a", "b"), 1.0, 10)]

    assert most_costly(found, flow(found), 0.10) == ("a", "b")
    assert most_costly(found, flow(found), 0.09) == ()


def test_nothing_measured_leaves_nothing_in_float():
    assert most_costly((), flow(()), 0.5) == ()
