"""Numbers that options take are finite: no limit, threshold or share is lost through nan."""

import pytest
from click.testing import CliRunner

from polyyolo.cli import main

LIMITS = ("--max-drop", "--min-agreement", "--max-latency-ms", "--min-speedup")
OPTIONS = [
    *(("engine", option) for option in (*LIMITS, "--budget")),
    *(("verify", option) for option in LIMITS),
    *(("detect", option) for option in ("--confidence", "--iou")),
    *((command, "--budget") for command in ("inspect layers", "cache export", "cache import")),
]


@pytest.mark.parametrize(("command", "option"), OPTIONS)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_what_is_no_finite_number_is_refused(command, option, text):
    """Without this, verify would end with 0 where a model loses more than it may: no number is above nan."""
    ran = CliRunner().invoke(main, [*command.split(), option, text, "model.onnx", "pictures"])

    assert ran.exit_code == 2
    assert f"Invalid value for '{option}': " in ran.output
    assert ("is no finite number" in ran.output) or (text != "nan" and "is not in the range" in ran.output)
