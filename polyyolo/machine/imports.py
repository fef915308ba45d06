"""Try imports where they can do no harm: a broken library may take the whole process with it, or never return."""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress

from polyyolo import progress
from polyyolo.machine.asking import ask

STEP = "import packages"
PATIENCE_S = 120.0
"""For all of them together; TensorRT reads gigabytes, from a cold disk."""
TRIAL = """
import importlib, json, sys
sys.path[:] = [place for place in sys.path if place]  # what lies in the current folder is no package of ours
for name in sys.argv[1:]:
    print("\\n" + json.dumps({"begun": name}), flush=True)
    try:
        importlib.import_module(name)
        flaw = ""
    except BaseException as error:
        flaw = f"{type(error).__name__}: {error}"
    print("\\n" + json.dumps({"ended": name, "flaw": flaw}), flush=True)
"""


def flaws(modules: Sequence[str]) -> dict[str, str]:
    """Import modules one after the other in another Python; goes on after one that ends or holds up its process.

    Returns:
        Module -> why it cannot be imported, one line; empty where it can.
    """
    found: dict[str, str] = {}
    with progress.step(STEP, len(modules)):
        while waiting := [name for name in modules if name not in found]:
            answer = ask([sys.executable, "-c", TRIAL, *waiting], PATIENCE_S)
            begun, ended = _read(answer.text)
            told = answer.flaw or "the process that imports it ended without a word"
            tried = {name: ended.get(name, told) for name in waiting if name in begun} or dict.fromkeys(waiting, told)
            found |= tried
            progress.advance(STEP, len(tried))
    return found


def _read(text: str) -> tuple[set[str], dict[str, str]]:
    """Find the trial's own lines in whatever else libraries print."""
    begun: set[str] = set()
    ended: dict[str, str] = {}
    for line in text.splitlines():
        with suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and "begun" in said:
                begun.add(str(said["begun"]))
            elif isinstance(said, dict) and "ended" in said:
                ended[str(said["ended"])] = " ".join(str(said.get("flaw", "")).split())
    return begun, ended
