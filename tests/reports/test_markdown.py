"""The report for people: the answer first, every figure where it belongs."""

import re

from attrs import evolve

from polyyolo.progress import Warned
from polyyolo.records import Agreement, Sensitivity
from polyyolo.reports.markdown import render, table


def row_of(text, name):
    """The cells of the table row that begins with ``name``."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_answer_comes_first(run):
    lines = render(run).splitlines()

    assert lines[0] == "# yolov5s: UNPROVEN"
    assert lines[2] == "Not yet: nothing failed, but 2 of 5 checks are not proven."


def test_every_check_is_there_with_what_was_wanted_and_got(run):
    text = render(run)

    for check in run.verdict.checks:
        assert row_of(text, check.name) == [check.name, check.wanted, check.got, check.outcome.value]


def test_the_figures_are_those_of_the_run(run):
    text = render(run)

    assert row_of(text, "mAP50-95")[1] == "0.4493 -> 0.4443"
    assert row_of(text, "mAP50")[1] == "0.6393 -> 0.6381"
    assert row_of(text, "boxes at IoU 0.9")[1] == "F1 0.950, precision 0.950, recall 0.950 (950 of 1000 boxes)"
    assert row_of(text, "signal to noise of output0")[1] == "31.4 dB"
    assert "88.0% of the multiply-accumulates run in INT8." in text
    assert row_of(text, "nearest the image")[1:] == ["1", "10.0%"]
    assert row_of(text, "head output")[1:] == ["1", "2.0%"]
    assert row_of(text, "calibration")[1] == "1 of 3 pictures, 1 skipped, seed 7, by mse"
    assert row_of(text, "engine")[1] == "`model.plan`, 9.9 MB"
    assert row_of(text, "build")[1:] == ["3.0", "reused"]
    assert row_of(text, "calibrate")[1:] == ["12.0", ""]


def test_the_command_can_be_pasted_into_a_shell(run):
    assert "```sh\nPOLYGRAPHY_USE_TENSORRT_RTX=1 polygraphy convert 'my model.onnx'\n```" in render(run)


def test_pictures_used_in_the_calibration_are_not_said_to_be_kept_out(run):
    text = render(evolve(run, fidelity=evolve(run.fidelity, held_out=False)))

    assert "some of them used in the calibration" in text
    assert "kept out" not in text


def test_what_was_not_done_leaves_no_empty_section(run):
    text = render(evolve(run, plan=None, engine=None, fidelity=None, calibration=None, pictures=()))

    assert "## Against FP32" not in text
    assert "## Pictures" not in text
    assert "The command that builds it" not in text
    assert row_of(text, "engine")[1] == row_of(text, "toolchain")[1] == "none"


def test_a_run_without_labels_has_no_map(run):
    bare = evolve(run.fidelity, reference=None, candidate=None, agreements=(Agreement(0.25, 0.9, 1, 2, 2),))

    assert "| mAP" not in render(evolve(run, fidelity=bare))


def test_pictures_are_shown_by_their_place_in_the_folder(run):
    assert "![pictures/a.jpg](pictures/a.jpg)" in render(run)


def test_pictures_with_spaces_and_brackets_are_shown_too(run):
    text = render(evolve(run, pictures=("pictures/01-my picture (2).jpg",)))

    assert "](pictures/01-my%20picture%20%282%29.jpg)" in text


def test_a_pipe_or_a_line_break_in_a_cell_breaks_no_table():
    text = table(("a", "b"), [("x|y", "one\ntwo"), ("<script>", "a & b"), ("`a&b.onnx`, a&b", "\\`<b>`")])

    assert text.splitlines()[:3] == ["| a | b |", "| --- | --- |", "| x\\|y | one two |"]
    assert text.splitlines()[3] == "| &lt;script> | a &amp; b |"
    assert text.splitlines()[4] == "| `a&b.onnx`, a&amp;b | \\`&lt;b>` |"


def test_every_table_is_as_wide_as_its_head(run):
    for block in render(run).split("\n\n"):
        if block.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_what_int8_costs_is_told_with_its_share_of_noise_and_work(run):
    costs = (Sensitivity("stem", ("stem",), 0.03, run.layers[0].macs), Sensitivity("neck", ("neck",), 0.01, 0))

    text = render(evolve(run, sensitivities=costs))

    assert "| stem | 75.0% |" in text
    assert "| neck | 25.0% | 0.0% |" in text
    assert "What INT8 costs" not in render(evolve(run, sensitivities=()))


def test_what_to_do_comes_before_what_was_built_and_can_be_pasted(run):
    text = render(run)

    assert text.index("## What to do") < text.index("## What was built")
    assert "   ```sh\n   polyyolo bundle run -o run-bundle\n   ```" in text


def test_warnings_stand_with_their_fixes(run):
    text = render(evolve(run, warnings=(Warned("only 20 pictures", "give 128"), Warned("odd"))))

    assert "## Warnings\n\n- only 20 pictures: give 128\n- odd\n" in text
    assert "## Warnings" not in render(run)
