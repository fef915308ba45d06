"""From figures to a verdict: never PASS by absence, never FAIL by chance."""

from pathlib import Path

import pytest
from attrs import evolve

from polyyolo.records import (
    Absent,
    Accuracy,
    Agreement,
    Benchmark,
    Check,
    EngineLayer,
    Latency,
    Limits,
    Measured,
    Outcome,
    Precision,
    Verdict,
)
from polyyolo.reports.verdict import judge, judge_model

PASS, FAIL, UNPROVEN = Outcome.PASS, Outcome.FAIL, Outcome.UNPROVEN


def outcome_of(name, *given):
    return next(check for check in judge(*given).checks if check.name.startswith(name))


@pytest.mark.parametrize(
    ("limit", "error", "outcome"),
    [
        (0.5, 0.1, PASS),
        (0.5001, 0.1, PASS),
        (0.45, 0.01, FAIL),
        (0.45, 0.1, UNPROVEN),
        (0.45, None, UNPROVEN),
        (0.5, None, UNPROVEN),
        (-100, 0.1, FAIL),
    ],
    ids=[
        "just reached",
        "within",
        "beyond doubt",
        "within doubt",
        "no error known",
        "within, no error known",
        "nothing allowed",
    ],
)
def test_half_a_point_lost_is_held_against_the_limit_and_its_doubt(fidelity, limit, error, outcome):
    check = outcome_of("accuracy", None, evolve(fidelity, drop_error=error), Limits(max_drop=limit))

    assert check.outcome is outcome
    assert check.got.startswith("0.50 points lost")
    assert ("too few pictures" in check.got) == (outcome is UNPROVEN)


def test_a_gain_is_no_loss(fidelity):
    better = evolve(fidelity, candidate=Accuracy(0.46, 0.64, 128))

    check = outcome_of("accuracy", None, better, Limits(0.0))

    assert check.outcome is PASS
    assert check.got.startswith("1.07 points gained")


def test_without_labels_no_accuracy_is_proven(fidelity):
    check = outcome_of("accuracy", None, evolve(fidelity, reference=None, candidate=None), Limits())

    assert (check.outcome, check.got) == (UNPROVEN, "no labelled pictures")


def test_nothing_found_by_fp32_is_nothing_proven(fidelity):
    """Labels of other classes or other pictures: 0 of 0 is no success."""
    nothing = Accuracy(0.0, 0.0, 128)

    check = outcome_of("accuracy", None, evolve(fidelity, reference=nothing, candidate=nothing), Limits())

    assert check.outcome is UNPROVEN
    assert "FP32 finds none" in check.got


@pytest.mark.parametrize(("reached", "kept", "outcome"), [(0.004, 0.0, UNPROVEN), (0.019, 0.0, FAIL)])
def test_a_reference_that_finds_hardly_anything_lets_nothing_pass(fidelity, reached, kept, outcome):
    """0.4 points are within a limit of 0.5, and all that there was."""
    poor = evolve(fidelity, reference=Accuracy(reached, 0.1, 128), candidate=Accuracy(kept, 0.0, 128), drop_error=0.1)

    assert outcome_of("accuracy", None, poor, Limits(0.5)).outcome is outcome


@pytest.mark.parametrize(
    ("matched", "boxes", "least", "outcome"),
    [
        (950, 1000, 0.9, PASS),
        (850, 1000, 0.9, FAIL),
        (45, 50, 0.9, PASS),
        (48, 49, 0.9, UNPROVEN),
        (8, 10, 0.9, UNPROVEN),
        (1, 10, 0.9, FAIL),
        (0, 3, 0.9, FAIL),
        (880, 1000, 0.9, UNPROVEN) if 0.88 + 2 * (0.88 * 0.12 / 1000) ** 0.5 >= 0.9 else (880, 1000, 0.9, FAIL),
    ],
)
def test_agreement_is_judged_only_with_enough_boxes_to_be_sure(fidelity, matched, boxes, least, outcome):
    strict = evolve(fidelity, agreements=(Agreement(0.25, 0.9, matched, boxes, boxes),))

    assert outcome_of("box", None, strict, Limits(min_agreement=least)).outcome is outcome


def test_boxes_that_only_int8_has_are_a_failure(fidelity):
    invented = evolve(fidelity, agreements=(Agreement(0.25, 0.9, 0, 0, 80),))

    assert outcome_of("box", None, invented, Limits()).outcome is FAIL


@pytest.mark.parametrize("agreements", [(), (Agreement(0.25, 0.9, 0, 0, 0),), (Agreement(0.25, 0.5, 9, 9, 9),)])
def test_no_boxes_prove_nothing(fidelity, agreements):
    check = outcome_of("box", None, evolve(fidelity, agreements=agreements), Limits())

    assert (check.outcome, check.got) == (UNPROVEN, "no boxes to compare")


def test_a_perfect_run_is_still_unproven_without_a_gpu(engine, fidelity):
    verdict = judge(engine, fidelity, Limits(max_drop=1.0))

    assert verdict.outcome is UNPROVEN
    assert [check.outcome for check in verdict.checks] == [PASS, PASS, PASS, UNPROVEN, UNPROVEN]


def test_nothing_at_all_proves_nothing():
    verdict = judge(None, None, Limits())

    assert {check.outcome for check in verdict.checks} == {UNPROVEN}
    assert verdict.outcome is UNPROVEN


@pytest.mark.parametrize(
    ("outcomes", "together"),
    [
        ((PASS, PASS), PASS),
        ((PASS, UNPROVEN), UNPROVEN),
        ((PASS, UNPROVEN, FAIL), FAIL),
        ((FAIL,), FAIL),
        ((), UNPROVEN),
    ],
)
def test_one_failure_fails_and_one_gap_leaves_it_unproven(outcomes, together):
    checks = tuple(Check("name", "wanted", "got", outcome) for outcome in outcomes)

    assert Verdict(checks).outcome is together


SHAPE = {"images": (1, 3, 640, 640)}


def timed(median_ms, **more):
    """A benchmark of which only the median and ``more`` matter."""
    latency = Latency(1000, *[median_ms] * 7)
    usual = Benchmark(
        Path("a.plan"), "a" * 64, SHAPE, 1, 1000 / median_ms, latency, None, "H200", "trtexec 8.6.0", (), {}, {}
    )
    return evolve(usual, **more)


def speed_of(limits, benchmarks, baseline=()):
    """Names, outcomes and what was got of all checks but accuracy and agreement."""
    return [
        (check.name, check.outcome, check.got) for check in judge_model(None, limits, benchmarks, baseline).checks[2:]
    ]


def test_a_model_by_itself_is_judged_by_accuracy_and_agreement_and_asked_for_nothing_else(fidelity):
    verdict = judge_model(fidelity, Limits(max_drop=1.0))

    assert [check.name for check in verdict.checks] == ["accuracy against FP32", "box agreement with FP32"]
    assert verdict.outcome is PASS


def test_a_model_that_was_not_compared_is_unproven():
    verdict = judge_model(None, Limits())

    assert {(check.outcome, check.got) for check in verdict.checks} == {(UNPROVEN, "not compared with the FP32 model")}


@pytest.mark.parametrize(("limit", "outcome"), [(0.5, PASS), (0.6, PASS), (0.49, FAIL)])
def test_latency_is_held_against_its_limit(limit, outcome):
    ((name, got, told),) = speed_of(Limits(max_latency_ms=limit), [timed(0.5)])

    assert (name, got) == ("latency", outcome)
    assert told == "0.500 ms on H200, 1000 queries by trtexec 8.6.0"


def test_each_shape_is_judged_by_itself_and_one_that_fails_fails_the_model():
    large = timed(4.0, shapes={"images": (8, 3, 640, 640)}, warnings=("GPU compute time is unstable",))

    verdict = judge_model(None, Limits(max_latency_ms=1), [timed(0.5), large])

    assert [(check.name, check.outcome) for check in verdict.checks[2:]] == [
        ("latency, 1x3x640x640", PASS),
        ("latency, 8x3x640x640", FAIL),
    ]
    assert verdict.checks[3].got.endswith("; GPU compute time is unstable")
    assert verdict.outcome is FAIL


@pytest.mark.parametrize(("limit", "outcome"), [(2.5, PASS), (2.6, FAIL)])
def test_a_speed_up_is_a_ratio_of_medians_at_the_same_shapes(limit, outcome):
    rivals = [timed(9.0, shapes={"images": (8, 3, 640, 640)}), timed(1.25, measured_by="TensorRT 8.6.0, CUDA graph")]

    ((name, got, told),) = speed_of(Limits(min_speedup=limit), [timed(0.5)], rivals)

    assert (name, got) == ("speed-up", outcome)
    assert told.startswith("2.50 times: 0.500 ms of 1.250 ms")
    assert told.endswith("; measured by TensorRT 8.6.0, CUDA graph and by trtexec 8.6.0")


def test_of_a_baseline_that_was_measured_in_several_ways_the_same_way_counts():
    """Launched kernel by kernel, or by another program, an engine is slower: any other would look faster for it."""
    one_by_one = timed(4.0, settings={"CUDA graph": "off"}, warnings=("not comparable: measured without a CUDA graph",))
    rivals = [one_by_one, timed(2.0, measured_by="TensorRT 8.6.0, CUDA graph"), timed(1.25)]

    ((_, got, told),) = speed_of(Limits(min_speedup=2.5), [timed(0.5)], rivals)

    assert (got, told) == (PASS, "2.50 times: 0.500 ms of 1.250 ms, medians of the GPU's work on H200")


@pytest.mark.parametrize("settings", [{"streams": "4", "CUDA graph": "on"}, {"streams": "1", "CUDA graph": "off"}])
def test_a_baseline_whose_queries_were_launched_otherwise_proves_nothing(settings):
    ours = timed(0.5, settings={"streams": "1", "CUDA graph": "on"})

    ((_, got, told),) = speed_of(Limits(min_speedup=2), [ours], [timed(2.0, settings=settings)])

    assert got is UNPROVEN
    assert told.startswith("the baseline was measured with streams ")
    assert told.endswith("this engine with streams 1, CUDA graph on")


@pytest.mark.parametrize(
    ("benchmarks", "baseline", "told"),
    [
        ((), (), "not measured: no benchmark of the engine"),
        ((), (timed(1.0),), "not measured: no benchmark of the engine"),
        ((timed(0.5),), (), "not measured: no benchmark of the baseline"),
        ((timed(0.5),), (timed(1.0, gpu="T4"),), "the baseline was not measured at these shapes on H200"),
        ((timed(0.5),), (timed(1.0, shapes={}),), "the baseline was not measured at these shapes on H200"),
    ],
)
def test_a_speed_up_without_both_sides_is_unproven(benchmarks, baseline, told):
    assert speed_of(Limits(min_speedup=2), benchmarks, baseline) == [("speed-up", UNPROVEN, told)]


def test_a_latency_that_nobody_measured_is_unproven():
    assert speed_of(Limits(max_latency_ms=2), ()) == [("latency", UNPROVEN, "not measured: no benchmark of the engine")]


@pytest.mark.parametrize(
    ("predicted", "got", "error", "outcome"),
    [
        (0.45, 0.449, 0.05, PASS),
        (0.45, 0.46, 0.05, PASS),
        (0.45, 0.4485, 0.01, FAIL),
        (0.45, 0.4485, 0.05, UNPROVEN),
    ],
    ids=["a tenth of a point", "better", "beyond doubt", "within doubt"],
)
def test_an_engine_may_have_a_tenth_of_a_point_less_than_onnx_runtime_predicts(
    engine, fidelity, *, predicted, got, error, outcome
):
    """The first difference is 0.1 points but for rounding."""
    run = evolve(fidelity, reference=Accuracy(predicted, 0.6, 128), candidate=Accuracy(got, 0.6, 128), drop_error=error)

    check = judge(engine, None, Limits(), Measured(timed(0.5), run)).checks[-1]

    assert (check.name, check.outcome) == ("the engine's own accuracy", outcome)
    assert check.wanted == "at most 0.1 points of mAP50-95 less than ONNX Runtime predicts"


def test_an_output_with_nan_or_infinity_fails_however_many_boxes_agree(engine, fidelity):
    broken = evolve(fidelity, not_finite=("output0",))

    checks = judge(engine, broken, Limits(), Measured(timed(0.5), broken)).checks

    failed = {check.name for check in checks if check.outcome is FAIL}
    assert failed == {"accuracy against FP32", "box agreement with FP32", "the engine's own accuracy"}
    assert checks[-1].got.startswith("NaN or infinity in output output0")


def test_what_could_not_be_tried_is_unproven_and_what_was_tried_in_vain_fails(engine):
    measured = Measured(Absent("no trtexec"), Absent("the engine does not run: torn", failed=True))

    verdict = judge(engine, None, Limits(), measured)

    assert [(check.outcome, check.got) for check in verdict.checks[-2:]] == [
        (UNPROVEN, "no trtexec"),
        (FAIL, "the engine does not run: torn"),
    ]


def test_a_run_is_held_to_its_limits_on_speed(engine, fidelity):
    limits = Limits(max_latency_ms=0.4, min_speedup=2)
    measured = Measured(timed(0.5, warnings=("GPU compute time is unstable",)), fidelity)

    checks = {check.name: check for check in judge(engine, fidelity, limits, measured, [timed(1.25)]).checks}

    assert checks["speed"].outcome is FAIL
    assert checks["speed"].got.startswith("0.500 ms for 1x3x640x640, 2000 pictures/s on H200, by trtexec 8.6.0")
    assert checks["speed"].got.endswith("; GPU compute time is unstable")
    assert (checks["speed-up"].outcome, checks["speed-up"].got[:10]) == (PASS, "2.50 times")


CONV = EngineLayer("conv", "CaskConvolution", "FP16", ("FP16 NHWC8",), ("FP16 NHWC8",))
NOT_MEASURED = Absent("not here")


@pytest.mark.parametrize(
    ("other", "outcome"),
    [
        (CONV, FAIL),
        (evolve(CONV, precision="INT8", outputs=("INT8 NC/32HW32",)), PASS),
        (evolve(CONV, inputs=("INT8 NC/32HW32",)), PASS),
    ],
    ids=["FP16 from end to end", "writes INT8", "reads INT8"],
)
def test_an_int8_engine_must_have_something_in_int8(engine, fidelity, other, outcome):
    measured = Measured(NOT_MEASURED, NOT_MEASURED, (CONV, other))

    check = outcome_of("layers in INT8", engine, fidelity, Limits(), measured)

    assert (check.outcome, check.got[:6]) == (outcome, "0 of 2" if outcome is FAIL else "1 of 2")


@pytest.mark.parametrize(("precision", "layers"), [(Precision.FP16, (CONV,)), (Precision.INT8, ())])
def test_nothing_is_said_of_int8_where_it_was_not_asked_for_or_cannot_be_seen(engine, fidelity, precision, layers):
    engine = evolve(engine, plan=evolve(engine.plan, precision=precision))

    verdict = judge(engine, fidelity, Limits(), Measured(NOT_MEASURED, NOT_MEASURED, layers))

    assert "layers in INT8" not in {check.name for check in verdict.checks}
