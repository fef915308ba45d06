"""From figures to a verdict: never PASS by absence, never FAIL by chance."""

import pytest
from attrs import evolve

from polyyolo.records import Accuracy, Agreement, Check, Limits, Outcome, Verdict
from polyyolo.reports.verdict import judge

PASS, FAIL, UNPROVEN = Outcome.PASS, Outcome.FAIL, Outcome.UNPROVEN


def outcome_of(name, *given):
    return next(check for check in judge(*given).checks if check.name.startswith(name))


@pytest.mark.parametrize(
    ("limit", "error", "outcome"),
    [(0.5001, 0.1, PASS), (0.45, 0.01, FAIL), (0.45, 0.1, UNPROVEN), (0.45, None, FAIL), (-100, 0.1, FAIL)],
    ids=["within", "beyond doubt", "within doubt", "no error known", "nothing allowed"],
)
def test_half_a_point_lost_is_held_against_the_limit_and_its_doubt(fidelity, limit, error, outcome):
    check = outcome_of("accuracy", None, evolve(fidelity, drop_error=error), Limits(max_drop=limit))

    assert check.outcome is outcome
    assert "+0.50 points lost" in check.got
    assert ("too few pictures" in check.got) == (outcome is UNPROVEN)


def test_a_gain_is_no_loss(fidelity):
    better = evolve(fidelity, candidate=Accuracy(0.46, 0.64, 128))

    assert outcome_of("accuracy", None, better, Limits(0.0)).outcome is PASS


def test_without_labels_no_accuracy_is_proven(fidelity):
    check = outcome_of("accuracy", None, evolve(fidelity, reference=None, candidate=None), Limits())

    assert (check.outcome, check.got) == (UNPROVEN, "no labelled pictures")


def test_nothing_found_by_fp32_is_nothing_proven(fidelity):
    """Labels of other classes or other pictures: 0 of 0 is no success."""
    nothing = Accuracy(0.0, 0.0, 128)

    check = outcome_of("accuracy", None, evolve(fidelity, reference=nothing, candidate=nothing), Limits())

    assert check.outcome is UNPROVEN
    assert "FP32 finds none" in check.got


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
