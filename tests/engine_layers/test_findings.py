"""What an engine comes to."""

import json
from pathlib import Path

import pytest

from polyyolo.engine_layers.findings import Moves, findings
from polyyolo.engine_layers.reading import read_layers, read_profile
from polyyolo.engine_layers.reasons import missing_scales
from polyyolo.errors import InputError

from .conftest import CONV, INT8, entry


def test_a_real_implicit_engine_is_summed_up_with_its_times(engine):
    implicit = engine("s_int8fp16")

    found = findings(implicit.layers, implicit.times)

    assert found.time_ms == pytest.approx(0.78176)
    assert found.coverage == pytest.approx(0.784, abs=0.0005)
    assert (found.weighted, found.weighted_int8) == (60, 59)
    assert [(moves.purpose, moves.count, round(1000 * moves.time_ms, 1)) for moves in found.moves] == [
        ("type or layout", 2, 19.1),
        ("copy into a Concat", 18, 88.0),
    ]
    reasons = [layer.reason for layer in found.layers if layer.reason]
    assert (reasons.count("reads the picture"), reasons.count("decode"), len(reasons)) == (1, 21, 22)


def test_without_times_layers_are_counted(engine):
    found = findings(engine("s_qdq").layers)

    assert found.coverage == pytest.approx(72 / 93)
    assert found.moves[0] == Moves("quantize", 1, None)
    assert {layer.share for layer in found.layers} == {None}


def test_in_a_float_engine_nothing_fell_back(engine):
    found = findings(*[(one := engine("s_fp32")).layers, one.times])

    assert (found.coverage, found.weighted_int8, found.islands) == (0, 0, ())
    assert {layer.reason for layer in found.layers} == {""}


def test_shares_add_up_to_one(engine):
    qdq = engine("s_qdq")

    assert sum(layer.share for layer in findings(qdq.layers, qdq.times).layers) == pytest.approx(1)


@pytest.mark.parametrize(("layers", "times"), [("s_qdq", "s_int8fp16"), ("s_fp32", "s_qdq")])
def test_the_profile_of_another_engine_is_refused(engine, layers, times):
    with pytest.raises(InputError, match=r"the profile is of another engine: \d+% of its time"):
        findings(engine(layers).layers, engine(times).times)


def test_a_profile_without_one_time_is_not_said_to_be_of_another_engine(engine):
    qdq = engine("s_qdq")

    with pytest.raises(InputError, match="the profile has no time of any layer"):
        findings(qdq.layers, dict.fromkeys(qdq.times))


@pytest.mark.parametrize(("number", "message"), [("-1", "has no time of any layer"), ("1e308", "add up to inf")])
def test_a_profile_of_impossible_times_is_not_said_to_be_of_another_engine(engine, tmp_path, number, message):
    qdq = engine("s_qdq")
    entries = [{"name": name, "medianMs": float(number)} for name in qdq.times]
    (tmp_path / "profile.json").write_text(json.dumps(entries))

    with pytest.raises(InputError, match=message):
        findings(qdq.layers, read_profile(tmp_path / "profile.json"))


def test_names_of_several_profiles_are_matched(exported):
    layers = read_layers(exported(entry("a", {"x": INT8}, {"y": INT8})))

    assert findings(layers, {"a [profile 0]": 2.0}).layers[0].time_ms == 2.0


@pytest.mark.parametrize("end", ["", " [profile 1]"])
def test_layers_of_one_name_have_each_their_own_time(exported, tmp_path, end):
    layers = read_layers(exported(*(entry(f"a{end}", {"x": INT8}, {"y": INT8}) for _ in range(2))))
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps([{"count": 9}, *({"name": f"a{end}", "medianMs": time} for time in (2.0, 3.0))]))

    found = findings(layers, read_profile(profile))

    assert ([layer.time_ms for layer in found.layers], found.time_ms) == ([2.0, 3.0], 5.0)


def test_of_several_profiles_only_the_layers_that_ran_together_are_summed_up(exported):
    """Of each profile the engine has a set of layers; the first one's names have no number."""
    both = [entry(f"a{end}", {f"x{end}": INT8}, {f"y{end}": INT8}, Metadata="") for end in ("", " [profile 1]")]
    layers = read_layers(exported(*both))

    found = [findings(layers, times) for times in (None, {"a": 2.0}, {"a [profile 1]": 3.0})]

    assert [(each.layers[0].name, each.time_ms) for each in found] == [("a", None), ("a", 2.0), ("a [profile 1]", 3.0)]
    assert {(len(each.layers), each.layers[0].nodes) for each in found} == {(1, ("a",))}


def test_a_float_layer_between_int8_layers_is_an_island_however_it_is_reached(exported):
    half = "Channel major FP16 format where channel % 8 == 0"
    reformat = {"LayerType": "Reformat", "Origin": "REFORMAT"}
    layers = read_layers(
        exported(
            entry("conv1", {"images": INT8}, {"a": INT8}, **CONV),
            entry("to half", {"a": INT8}, {"b": half}, **reformat),
            entry("softmax", {"b": half}, {"c": half}, LayerType="SoftMax"),
            entry("mul", {"c": half}, {"d": half}),
            entry("to int8", {"d": half}, {"e": INT8}, **reformat),
            entry("conv2", {"e": INT8}, {"f": INT8}, **CONV),
            entry("decode", {"f": half}, {"output0": half}),
        )
    )

    found = findings(layers, dict.fromkeys(["conv1", "to half", "softmax", "mul", "to int8", "conv2", "decode"], 1.0))

    assert [(island.layers, island.time_ms) for island in found.islands] == [(("softmax", "mul"), 2.0)]
    assert [layer.reason for layer in found.layers if layer.reason] == [
        "TensorRT has no INT8 kernel",
        "no scale, or float was quicker",
        "decode",
    ]
    assert found.moves == (Moves("type or layout", 2, 2.0),)


def test_a_float_convolution_is_told_from_the_head_and_from_one_without_a_scale(exported, tmp_path):
    half = "Half"
    conv = {"LayerType": "CaskConvolution", "Weights": {"Type": "Half", "Count": 9}}
    path = exported(
        entry("stem", {"images": half}, {"a": half}, **conv),
        entry("middle", {"a": half}, {"b": half}, **conv),
        entry("unscaled", {"b": half}, {"c": half}, **conv),
        entry("int8", {"c": INT8}, {"d": INT8}, **CONV),
        entry("last", {"d": half}, {"output0": half}, **conv),
    )
    log = tmp_path / "build.log"
    log.write_text("[W] [TRT] Missing scale and zero-point for tensor c, expect fall back to non-int8 implementation\n")

    found = findings(read_layers(path), unscaled=missing_scales(log))

    assert {layer.name: layer.reason for layer in found.layers} == {
        "stem": "reads the picture",
        "middle": "no scale, or float was quicker",
        "unscaled": "no scale",
        "int8": "",
        "last": "head",
    }


def test_in_an_explicit_engine_what_has_no_qdq_is_not_quantized_in_the_model(exported):
    path = exported(
        entry("a_QuantizeLinear", {"images": "Float"}, {"q": INT8}, LayerType="Reformat", Origin="QDQ"),
        entry("conv1", {"q": INT8}, {"a": "Half"}, **CONV),
        entry("add", {"a": "Half"}, {"b": "Half"}),
        entry("conv2", {"b": INT8}, {"output0": INT8}, **CONV),
    )

    assert findings(read_layers(path)).layers[2].reason == "not quantized in the model"


def test_missing_scales_are_those_of_a_real_log(exports):
    found = missing_scales(exports / "build_int8_missing_scales.stdout")

    assert len(found) == 50
    assert "/model.24/Add_1_output_0" in found


def test_a_log_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="none"):
        missing_scales(tmp_path / "none")


def test_a_log_without_an_end_is_not_read():
    with pytest.raises(InputError, match="cannot read /dev/zero: it is a pipe or a device") as error:
        missing_scales(Path("/dev/zero"))

    assert error.value.fix == "name the log of the build"
