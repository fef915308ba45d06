"""What to do about each check that did not pass: concrete, with a command that the command line takes."""

import json
import shlex
from pathlib import Path

import click
import pytest
from attrs import evolve

from polyyolo.cli import main
from polyyolo.records import (
    Accuracy,
    Agreement,
    Check,
    Head,
    HeadKind,
    Limits,
    Outcome,
    Precision,
    Request,
    Route,
    Verdict,
)
from polyyolo.reports.advice import advise, answer
from polyyolo.reports.summary import as_plain
from polyyolo.reports.verdict import judge


@pytest.fixture
def asked():
    return Request("yolov5s.onnx", images=Path("pictures"), labelled=Path("labelled"), output=Path("run"))


@pytest.fixture
def run(run, asked):
    """The usual run with what was asked for, and enough pictures to calibrate with."""
    calibration = evolve(run.calibration, sources=run.calibration.sources * 128)
    return evolve(run, request=asked, calibration=calibration)


def judged(run, limits=None, **changes):
    run = evolve(run, **changes)
    limits = limits or run.request.limits
    return evolve(run, request=evolve(run.request, limits=limits), verdict=judge(run.engine, run.fidelity, limits))


def lost(fidelity, points, error):
    reference = fidelity.reference
    return evolve(fidelity, candidate=evolve(reference, map50_95=reference.map50_95 - points / 100), drop_error=error)


def of(run, check):
    """What is advised for one check."""
    return [step for step in advise(run) if check in step.checks]


def parsed(command):
    """Let the real command line read each polyyolo command of a shell line."""
    for part in filter(None, command.split(" && ")):
        program, *words = shlex.split(part)
        if program == "polyyolo":
            context = click.Context(main)
            group = main
            while isinstance(group, click.Group):
                name, group, words = group.resolve_command(context, words)
            group.make_context(name, list(words), parent=context)


def test_the_answer_is_a_sentence_with_the_count(run):
    every = [Check("a", "", "", Outcome.PASS), Check("b", "", "", Outcome.PASS)]

    def said(*outcomes):
        checks = tuple(Check(str(place), "", "", outcome) for place, outcome in enumerate(outcomes))
        return answer(evolve(run, verdict=Verdict(checks)))

    assert answer(evolve(run, verdict=Verdict(tuple(every)))) == "Yes: every check was made and passed."
    assert said(Outcome.PASS, Outcome.UNPROVEN) == "Not yet: nothing failed, but 1 of 2 checks is not proven."
    assert said(Outcome.FAIL, Outcome.UNPROVEN, Outcome.FAIL) == "No: 2 of 3 checks failed. Do not ship this as it is."


def test_what_passed_needs_no_advice(run):
    assert advise(evolve(run, verdict=Verdict((Check("speed", "", "", Outcome.PASS),)))) == ()


def test_a_loss_that_is_too_large_asks_for_more_in_float(run):
    first, second = of(judged(run, fidelity=lost(run.fidelity, 2.0, 0.1)), "accuracy against FP32")

    assert first.what == "Keep 15% of the work in float, in place of 10%: more accurate, a little slower."
    assert shlex.split(first.command) == [
        *("polyyolo", "engine", "yolov5s.onnx", "--images", "pictures", "--labelled", "labelled"),
        *("--budget", "0.15", "-o", "run"),
    ]
    assert "--method auto" in second.command


def test_an_unclear_loss_also_asks_for_as_many_pictures_as_settle_it(run):
    """0.9 lost of 0.5 allowed, give or take 1.98: 24.5 times as many pictures make the doubt 0.4."""
    _, more = of(judged(run, fidelity=lost(run.fidelity, 0.9, 0.99)), "accuracy against FP32")

    assert more.what == (
        "Measure on about 3,200 labelled pictures, in place of 128: so many tell a loss of 0.90 points from the limit "
        "of 0.5."
    )
    assert "--labelled DIR" in more.command


def test_a_loss_at_the_limit_is_not_worth_a_million_pictures(run):
    unclear = lost(run.fidelity, 0.501, 1.0)

    told = of(judged(run, fidelity=unclear), "accuracy against FP32")

    assert "no reasonable number of pictures" in told[-1].what
    assert not told[-1].command


def test_a_loss_on_so_few_pictures_that_nothing_is_known_of_chance_asks_for_more(run):
    few = evolve(lost(run.fidelity, 1.1, None), pictures=3)

    told = of(judged(run, fidelity=few), "accuracy against FP32")

    assert told[-1].what.startswith("Measure on about 100 labelled pictures, in place of 3: ")
    assert "--labelled DIR" in told[-1].command


def test_who_calibrated_with_few_pictures_calibrates_with_as_many_as_usual(run, asked):
    few = evolve(
        run,
        request=evolve(asked, count=16),
        calibration=evolve(run.calibration, sources=run.calibration.sources[:1] * 16),
    )

    first = of(judged(few, fidelity=lost(run.fidelity, 2.0, 0.1)), "accuracy against FP32")[0]

    assert first.what.startswith("Calibrate with 128 pictures or more of what the model will see, in place of 16")
    assert "--images DIR" in first.command
    assert "--count" not in first.command


def test_without_labels_the_next_command_has_them(run):
    bare = evolve(run.fidelity, reference=None, candidate=None)

    (only,) = of(judged(run, fidelity=bare), "accuracy against FP32")

    assert "give labelled pictures" in only.what
    assert "--labelled DIR" in only.command


def test_labels_of_which_fp32_finds_none_lead_to_a_look_at_what_the_model_sees(run):
    blind = evolve(run.fidelity, reference=Accuracy(0.0, 0.0, 128), candidate=Accuracy(0.0, 0.0, 128))

    (only,) = of(judged(run, fidelity=blind), "accuracy against FP32")

    assert only.command == "polyyolo inspect data pictures --model yolov5s.onnx"
    fed = evolve(run, request=evolve(run.request, overrides={"fit": "stretch", "mean": (0.5, 0.5, 0.5)}))
    (only,) = of(judged(fed, fidelity=blind), "accuracy against FP32")
    assert only.command.endswith("--model yolov5s.onnx --fit stretch --mean 0.5,0.5,0.5")


def test_few_boxes_ask_for_so_many_pictures_that_twice_the_boxes_are_likely(run):
    few = evolve(run.fidelity, agreements=(Agreement(0.25, 0.9, 20, 20, 20),))

    (only,) = of(judged(run, fidelity=few), "box agreement with FP32")

    assert only.what.startswith("Compare on about 640 pictures with objects: 20 boxes on 128 pictures are too")


def test_other_pictures_of_several_kinds_are_one_command(run, asked):
    few = evolve(run.fidelity, reference=None, candidate=None, agreements=(Agreement(0.25, 0.9, 2, 2, 2),))
    bare = judged(evolve(run, request=evolve(asked, labelled=None)), fidelity=few)

    step = advise(bare)[0]

    assert step.checks == ("accuracy against FP32", "box agreement with FP32")
    assert step.command.count("--images DIR") == step.command.count("--labelled DIR") == 1
    assert step.what.startswith("Measure the loss: ")
    assert "Compare on about 6,400 pictures with objects: 2 boxes on 128 pictures are too few" in step.what
    assert not of(bare, "box agreement with FP32")[1:]
    told = json.loads(json.dumps(as_plain(bare, [])))["advice"][0]
    assert told == {"checks": list(step.checks), "what": step.what, "command": step.command}


def test_agreement_below_its_limit_by_less_than_the_doubt_asks_for_both(run):
    """0.88 of 0.9 on 150 boxes: better rounding or more in float may mend it, more pictures tell whether it must."""
    unclear = evolve(run.fidelity, agreements=(Agreement(0.25, 0.9, 132, 150, 150),))

    rounding, gentler, more = of(judged(run, fidelity=unclear), "box agreement with FP32")

    assert "--correct rounding" in rounding.command
    assert "--budget 0.15" in gentler.command
    assert more.what == "Compare on about 520 pictures with objects: 150 boxes on 128 pictures are too few to tell."


@pytest.mark.parametrize(
    "changed", [{"correct": ("rounding",)}, {"keep_float": ("none",)}, {"route": Route.CALIBRATED}]
)
def test_rounding_is_not_advised_where_it_is_there_or_does_not_pay(run, changed):
    poor = judged(run, fidelity=evolve(run.fidelity, agreements=(Agreement(0.25, 0.9, 500, 999, 999),)))
    other = evolve(poor, request=evolve(poor.request, **changed))

    assert of(poor, "box agreement with FP32")[0].what.startswith("Make up for the rounding of weights")
    assert not [step for step in of(other, "box agreement with FP32") if "rounding of weights" in step.what]


def test_one_way_to_a_gpu_serves_speed_and_the_engines_own_accuracy(run):
    steps = of(run, "speed")

    assert steps == of(run, "the engine's own accuracy")
    assert steps[0].command == "polyyolo bundle run -o run-bundle"


def test_a_machine_with_the_gpu_measures_at_once(run):
    here = evolve(run.plan, toolchain=evolve(run.plan.toolchain, gpu="L4"))

    with_gpu = evolve(run, plan=here)

    assert [step.command for step in of(with_gpu, "speed")] == ["polyyolo bench run/model.plan"]
    assert [step.command for step in of(with_gpu, "the engine's own accuracy")] == [
        "polyyolo verify run/model.plan --labelled labelled"
    ]


def test_a_run_without_toolchain_builds_when_it_is_left_to_look_for_one(run):
    bare = evolve(run, engine=None, plan=None)
    refused = evolve(bare, request=evolve(run.request, toolchain="none"))

    assert "--toolchain" not in of(judged(refused), "engine built")[0].command
    assert of(judged(bare), "engine built")[0].command.startswith("pip install 'polyyolo[rtx]' && polyyolo engine")


def test_a_run_without_toolchain_and_scales_builds_where_the_gpu_is(run):
    """An FP16 run has no bundle; its own command would build nothing on the GPU either."""
    bare = evolve(run, engine=None, plan=None, calibration=None, request=evolve(run.request, toolchain="none"))

    (step,) = of(judged(bare), "speed")

    assert step.what == "Make this run on a machine with the GPU that it is for."
    assert "--toolchain" not in step.command


def test_speed_that_is_too_low_asks_for_less_in_float(run):
    slow = evolve(run, verdict=Verdict((Check("speed", "at most 1 ms", "2 ms", Outcome.FAIL),)))

    assert "--budget 0.05" in advise(slow)[0].command


@pytest.mark.parametrize("got", ["not measured: no benchmark of the baseline", "the baseline was not measured at ..."])
def test_a_missing_baseline_is_measured_and_named(run, asked, got):
    check = Check("speed-up", "at least 2 times as fast as the baseline", got, Outcome.UNPROVEN)
    lone = evolve(run, request=evolve(asked, limits=Limits(min_speedup=2)), verdict=Verdict((check,)))

    (step,) = advise(lone)

    first, second = step.command.split(" && ")
    assert first == "polyyolo bench OTHER.plan -o baseline.json"
    assert "--baseline baseline.json" in second
    assert "--min-speedup 2" in second
    parsed(step.command)


def test_a_check_without_a_rule_is_not_passed_over(run):
    odd = evolve(run, verdict=Verdict((Check("size", "10 MB", "12 MB", Outcome.FAIL),)))

    assert advise(odd)[0].what == "size: 10 MB was not reached; 12 MB."


def variants(run):
    """Runs of every kind, by what is special about them."""
    plain = evolve(run, engine=None, plan=None)
    request = run.request
    head = evolve(run.source, head=Head(HeadKind.NONE))
    return {
        "usual": run,
        "failed": evolve(run, fidelity=lost(run.fidelity, 5.0, 0.1)),
        "few boxes": evolve(run, fidelity=evolve(run.fidelity, agreements=(Agreement(0.25, 0.9, 1, 2, 2),))),
        "no boxes": evolve(run, fidelity=evolve(run.fidelity, agreements=())),
        "disagreeing": evolve(run, fidelity=evolve(run.fidelity, agreements=(Agreement(0.25, 0.9, 500, 999, 999),))),
        "nothing compared": evolve(plain, fidelity=None),
        "no head": evolve(plain, source=head, fidelity=evolve(run.fidelity, agreements=(), reference=None)),
        "came quantized": evolve(
            plain, source=evolve(run.source, quantized=True), calibration=None, fidelity=None, precision=Precision.INT8
        ),
        "fp16": evolve(run, precision=Precision.FP16, calibration=None, fidelity=lost(run.fidelity, 5.0, 0.1)),
        "fp32": evolve(run, precision=Precision.FP32, calibration=None, fidelity=lost(run.fidelity, 5.0, 0.1)),
        "calibrated": evolve(plain, route=Route.CALIBRATED),
        "all tried": evolve(
            run,
            fidelity=lost(run.fidelity, 5.0, 0.1),
            request=evolve(request, budget=0.9, method="auto", limits=Limits(max_drop=1)),
        ),
        "with a gpu": evolve(run, plan=evolve(run.plan, toolchain=evolve(run.plan.toolchain, gpu="L4"))),
        "stem": evolve(run, fidelity=lost(run.fidelity, 5.0, 0.1), request=evolve(request, keep_float=("stem",))),
    }


KINDS = (
    *("usual", "failed", "few boxes", "no boxes", "disagreeing", "nothing compared", "no head", "came quantized"),
    *("fp16", "fp32", "calibrated", "all tried", "stem", "with a gpu"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_that_did_not_pass_has_advice_and_every_command_can_be_typed(run, kind):
    made = judged(variants(run)[kind])

    for check in made.verdict.checks:
        assert bool(of(made, check.name)) is (check.outcome is not Outcome.PASS), check.name
    for step in advise(made):
        assert step.what.endswith(".")
        parsed(step.command)


def test_a_record_of_before_requests_were_kept_still_gets_advice(run):
    old = evolve(judged(run, fidelity=lost(run.fidelity, 5.0, 0.1)), request=None)

    assert {check for step in advise(old) for check in step.checks} == {
        "accuracy against FP32",
        "speed",
        "the engine's own accuracy",
    }


@pytest.mark.parametrize(
    ("route", "command"),
    [(Route.CALIBRATED, "polyyolo engine "), (Route.QDQ, "polyyolo inspect layers ")],
)
def test_an_engine_without_int8_is_built_with_nodes_that_tell_it_or_looked_into(run, route, command, tmp_path):
    failed = Check("layers in INT8", "some of it", "0 of 43 layers read or write it", Outcome.FAIL)
    request, plan = evolve(run.request, route=route), tmp_path / "model.plan"
    plan.touch()
    here = evolve(run, engine=evolve(run.engine, path=plan))

    (advice,) = advise(evolve(here, route=route, request=request, verdict=Verdict((failed,))))

    assert advice.checks == ("layers in INT8",)
    assert advice.command.startswith(command)
    assert "--route" not in advice.command, "Q/DQ is the default"


def test_the_layers_of_an_engine_on_another_machine_are_looked_up_in_the_report(run):
    failed = Check("layers in INT8", "some of it", "0 of 43 layers read or write it", Outcome.FAIL)

    (advice,) = advise(evolve(run, verdict=Verdict((failed,))))

    assert (advice.what.split(":")[0], advice.command) == ("TensorRT runs nothing in INT8", "")


def test_what_failed_comes_before_what_is_not_proven(run):
    checks = (
        Check("engine built", "a plan file", "none was built here", Outcome.UNPROVEN),
        Check("speed", "at most 1 ms", "2 ms", Outcome.FAIL),
        Check("box agreement with FP32", "F1 of at least 0.9", "0.5", Outcome.FAIL),
    )

    order = [name for each in advise(evolve(run, verdict=Verdict(checks))) for name in each.checks]

    assert list(dict.fromkeys(order)) == ["speed", "box agreement with FP32", "engine built"]
