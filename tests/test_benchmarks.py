"""The benchmarks' own bookkeeping: figures are told by the process that made them, pages keep their text."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    """Benchmarks import one another as scripts of one folder do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def child(folder, body):
    script = folder / "child.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\nfrom stopwatch import Stopwatch\n{body}\n")
    return script


def test_a_childs_peak_is_its_own_and_not_its_parents(tmp_path):
    from stopwatch import ask, here, peak_mib

    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    few = child(tmp_path, "with Stopwatch() as watch:\n    kept = b'x' * (100 << 20)\nwatch.tell(pictures=3)")

    told = ask(here(), few)

    assert peak_mib() > 300
    assert 100 < told["peak_mib"] < 200
    assert told["pictures"] == 3
    assert 0 < told["seconds"] < 10


def test_a_contender_that_breaks_is_told_with_its_last_line(tmp_path):
    from stopwatch import Failed, ask, here

    with pytest.raises(Failed, match="no such calibrator"):
        ask(here(), child(tmp_path, "raise SystemExit('no such calibrator')"))


def test_publishing_again_replaces_the_figures_and_keeps_the_text_around_them(tmp_path):
    from surroundings import BEGIN, END, publish, table

    page = tmp_path / "page.md"
    page.write_text(f"# Speed\n\n{BEGIN}\nold\n{END}\n\nRun it again.\n", "utf-8")

    publish(page, table(["tool", "s"], [["ours", "5.0"]]))

    assert page.read_text("utf-8") == (
        f"# Speed\n\n{BEGIN}\n| tool | s |\n| --- | --- |\n| ours | 5.0 |\n{END}\n\nRun it again.\n"
    )


def test_polyyolo_answers_help_in_a_blink():
    printed = subprocess.run(
        [sys.executable, BENCHMARKS / "startup.py"], check=True, capture_output=True, text=True
    ).stdout

    assert float(printed.split()[2]) < 1.0, printed
