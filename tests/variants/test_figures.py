import pytest
from attrs import evolve

from polyyolo.records import Agreement, Outcome, Precision, Route
from polyyolo.records.comparison import Compared, Figures
from polyyolo.variants.figures import against_reference, gather
from polyyolo.variants.known import REFERENCE, Variant

FP16 = Variant("fp16", Precision.FP16)


def test_a_run_that_was_timed_and_measured_fills_its_row(run):
    found = gather(FP16, run(median_ms=0.5))

    assert found.figures == Figures(
        engine_bytes=9_870_000,
        build_seconds=12.34,
        latency_ms=0.5,
        images_per_s=2000,
        map50_95=0.4443,
        drop_points=pytest.approx(0.5),
        drop_error=0.1,
        agreement_f1=0.95,
    )
    assert (found.name, found.folder.name, found.unproven) == ("fp16", "fp16", {})


def test_what_was_not_run_says_why_in_the_verdicts_words(run):
    found = gather(FP16, run(engine=None, fidelity=None))

    assert found.figures == Figures()
    assert found.outcome is Outcome.UNPROVEN
    assert found.unproven == {
        "engine_bytes": "none was built here",
        "build_seconds": "none was built here",
        "latency_ms": "there is no engine",
        "images_per_s": "there is no engine",
        "map50_95": "not compared with the FP32 model",
        "drop_points": "not compared with the FP32 model",
        "agreement_f1": "not compared with the FP32 model",
    }


def test_without_labels_agreement_is_left(run, unlabelled):
    found = gather(FP16, run(fidelity=unlabelled))

    assert (found.figures.map50_95, found.figures.agreement_f1) == (None, 0.95)
    assert found.unproven["map50_95"] == found.unproven["drop_points"] == "no labelled pictures"


def test_agreement_on_no_boxes_is_no_agreement(run, unlabelled):
    nothing_seen = evolve(unlabelled, agreements=(Agreement(0.25, 0.9, 0, 0, 0),))

    found = gather(FP16, run(fidelity=nothing_seen))

    assert (found.figures.agreement_f1, found.unproven["agreement_f1"]) == (None, "no boxes to compare")


def test_speed_up_is_against_fp32(run):
    rows = against_reference((gather(REFERENCE, run(median_ms=1.0)), gather(FP16, run(median_ms=0.5))))

    assert [row.figures.speed_up for row in rows] == [1, 2]


def test_speed_up_needs_both_times(run):
    timed, untimed = gather(FP16, run(median_ms=0.5)), gather(FP16, run())
    refused = Compared("int8-calibrated", Precision.INT8, Route.CALIBRATED, untimed.folder, error="no calibrator")

    alone = against_reference((timed, untimed, refused))

    assert [row.figures.speed_up for row in alone] == [None] * 3
    assert alone[0].unproven == {"speed_up": "fp32 was not measured"}
    assert alone[1].unproven["speed_up"] == "the engine was not run on a GPU"
    assert alone[2] == refused


def test_too_few_boxes_are_no_agreement(run, unlabelled):
    one = evolve(
        unlabelled,
        agreements=tuple(
            evolve(each, matched=3, reference_boxes=3, candidate_boxes=3) for each in unlabelled.agreements
        ),
    )
    found = gather(FP16, run(fidelity=one))

    assert found.figures.agreement_f1 is None
    assert "too few" in found.unproven["agreement_f1"]
