import sys

import pytest

from polyyolo.machine.asking import ask


def test_a_program_that_answers_is_quoted():
    assert ask([sys.executable, "-c", "print('580.65')"], 30) == ask(["echo", "580.65"], 30)
    assert ask(["echo", "580.65"], 30).text == "580.65\n"


@pytest.mark.parametrize(
    ("script", "flaw"),
    [
        ("import time; time.sleep(60)", "no answer within 0.5 s"),
        ("import os; os.abort()", "it was killed by signal 6"),
        ("raise SystemExit('no device')", "it ended with status 1 and said: no device"),
        ("raise SystemExit(3)", "it ended with status 3 and said: nothing"),
    ],
)
def test_a_program_that_does_not_answer_is_one_line(script, flaw):
    assert ask([sys.executable, "-c", script], 0.5 if "sleep" in script else 30).flaw == flaw


def test_what_cannot_be_started_is_one_line(tmp_path):
    (tmp_path / "plain").write_text("no program")

    assert "Permission denied" in ask([str(tmp_path / "plain")], 1).flaw
    assert "No such file" in ask([str(tmp_path / "gone")], 1).flaw
    assert "null byte" in ask(["a\0b"], 1).flaw


def test_bytes_that_are_no_text_are_text_all_the_same():
    said = ask([sys.executable, "-c", "import sys; sys.stdout.buffer.write(bytes(range(256)))"], 30)

    assert (len(said.text) > 200, said.flaw) == (True, "")
