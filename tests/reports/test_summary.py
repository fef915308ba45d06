"""What a run came to, in a screenful or for scripts."""

import json

from attrs import evolve

from polyyolo.reports.summary import as_plain, as_text


def test_a_screenful_tells_verdict_checks_and_places(run):
    lines = as_text(run).splitlines()

    assert lines[0] == "UNPROVEN  yolov5s.onnx as int8"
    assert lines[1].split(maxsplit=1) == ["PASS", "engine built               9.9 MB in 12.3 s"]
    assert len({line.index(check.got) for line, check in zip(lines[1:], run.verdict.checks, strict=False)}) == 1
    assert lines[-2:] == ["engine: run/model.plan", "report: run/report.html"]


def test_without_an_engine_the_onnx_is_the_result(run):
    assert "prepared ONNX: yolov5s.onnx" in as_text(evolve(run, engine=None))


def test_scripts_get_numbers(run):
    told = as_plain(run, [{"message": "few pictures", "fix": "give more"}])

    assert json.loads(json.dumps(told)) == told
    assert told["outcome"] == "UNPROVEN"
    assert told["map50_95"] == 0.4443
    assert abs(told["drop_points"] - 0.5) < 1e-9
    assert told["agreement"] == {"0.5": 0.99, "0.9": 0.95}
    assert told["checks"][0]["outcome"] == "PASS"
    assert told["warnings"] == [{"message": "few pictures", "fix": "give more"}]


def test_what_was_not_measured_is_null_and_not_zero(run):
    told = as_plain(evolve(run, engine=None, fidelity=None), [])

    assert (told["engine"], told["map50_95"], told["drop_points"], told["agreement"]) == (None, None, None, {})


def test_what_to_do_stands_below_the_checks_with_its_commands(run):
    lines = as_text(run).splitlines()

    start = lines.index("Not yet: nothing failed, but 2 of 5 checks are not proven.")
    assert start == 1 + len(run.verdict.checks)
    assert lines[start + 1].startswith("  1. Build and measure on the GPU that it is for")
    assert lines[start + 2] == "     polyyolo bundle run -o run-bundle"


def test_scripts_get_the_answer_and_the_advice(run):
    told = as_plain(run, [])

    assert told["answer"] == "Not yet: nothing failed, but 2 of 5 checks are not proven."
    assert told["advice"][0]["checks"] == ["speed", "the engine's own accuracy"]
    assert told["advice"][0]["command"] == "polyyolo bundle run -o run-bundle"
