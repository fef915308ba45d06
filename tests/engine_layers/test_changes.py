"""What two engines of one model have different."""

import pytest

from polyyolo.engine_layers.changes import Timed, changes
from polyyolo.engine_layers.reading import read_layers
from polyyolo.errors import InputError

from .conftest import INT8, entry


def test_the_first_convolution_in_int8_is_what_makes_the_qdq_engine_slower(engine):
    """Three channels are padded to 32, converted twice, and convolved by a kernel slower than the one in FP16."""
    found = changes(engine("s_int8fp16"), engine("s_qdq"))

    first = found[0]
    assert first.part == "/model.0/conv/Conv"
    assert (first.first.types, first.second.types) == (
        ("FP16 NHWC4 -> FP16 NHWC8",),
        ("INT8 NC/32HW32 -> INT8 NC/32HW32",),
    )
    assert [round(1000 * side.time_ms, 1) for side in (first.first, first.second)] == [33.0, 67.7]
    assert [round(1000 * side.moves_ms, 1) for side in (first.first, first.second)] == [9.0, 26.9]
    assert 1000 * (found[-1].extra_ms) == pytest.approx(-10.5, abs=0.05), "the next reads INT8 already"
    assert found[-1].part == "/model.1/conv/Conv"


def test_no_time_is_lost_or_counted_twice(engine):
    implicit, qdq = engine("s_int8fp16"), engine("s_qdq")

    extra = sum(change.extra_ms for change in changes(implicit, qdq))

    assert extra == pytest.approx(sum(qdq.times.values()) - sum(implicit.times.values()))


def test_an_engine_against_itself_has_no_change(engine):
    found = changes(engine("s_qdq"), engine("s_qdq"))

    assert {(change.is_other, change.extra_ms) for change in found} == {(False, 0.0)}


def test_without_times_what_has_other_types_is_told(exported):
    one = read_layers(exported(entry("add", {"a": INT8}, {"b": INT8}), name="one.json"))
    other = read_layers(exported(entry("add", {"a": "Half"}, {"b": "Half"}), name="other.json"))

    [change] = changes(Timed(one), Timed(other))

    assert (change.is_other, change.extra_ms) == (True, None)
    assert (change.first.types, change.second.types) == (("INT8 NC/32HW32 -> INT8 NC/32HW32",), ("FP16 -> FP16",))


def test_an_engine_of_two_profiles_is_held_against_one_of_one_by_the_layers_of_its_first(exported):
    one, other = (entry(f"add{end}", {"a": INT8}, {"b": INT8}, Metadata="") for end in ("", " [profile 1]"))
    engines = [Timed(read_layers(exported(*each, name=f"{len(each)}.json"))) for each in ([one], [one, other])]

    [change] = changes(*engines)

    assert (change.is_other, change.second.layers) == (False, ("add",))


def test_layers_fused_in_one_engine_are_held_against_both_in_the_other(exported):
    fused = entry("conv + add", {"a": INT8}, {"c": INT8}, Metadata="[ONNX Layer: conv]\x1e[ONNX Layer: add]")
    apart = [entry("conv", {"a": INT8}, {"b": INT8}), entry("add", {"b": INT8}, {"c": INT8})]
    engines = [Timed(read_layers(exported(*each, name=f"{len(each)}.json"))) for each in ([fused], apart)]

    [change] = changes(*engines)

    assert (change.part, change.first.layers, change.second.layers) == ("conv", ("conv + add",), ("conv", "add"))


def test_engines_of_different_models_are_refused(engine, exported):
    other = Timed(read_layers(exported(*(entry(f"n{i}", {"a": INT8}, {"b": INT8}) for i in range(200)))))

    with pytest.raises(InputError, match="different models"):
        changes(engine("s_qdq"), other)
