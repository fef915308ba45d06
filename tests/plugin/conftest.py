"""The real ``polygraphy run``, with polyyolo's plugin as its entry point installs it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen


@frozen
class Ran:
    """How ``polygraphy run`` ended, and what it printed without its prefixes."""

    status: int
    text: str

    @property
    def boxes(self) -> str:
        """The last line of the comparison by boxes, without the names of the runners."""
        lines = [line for line in self.text.splitlines() if "Boxes |" in line]
        return lines[-1].rpartition("| ")[2] if lines else ""


@pytest.fixture
def polygraphy_run(tmp_path: Path) -> Callable[..., Ran]:
    """Run ``polygraphy run WORDS`` in a folder of its own; keywords are environment variables."""

    def run(*words: object, **environment: object) -> Ran:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("POLYYOLO_", "TRTEXEC"))}
        ended = subprocess.run(
            [str(Path(sys.executable).with_name("polygraphy")), "run", *map(str, words)],
            cwd=tmp_path,
            env={**inherited, "TMPDIR": str(tmp_path), **{name: str(value) for name, value in environment.items()}},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(ended.returncode, re.sub(r"^\[[A-Z!]\] ", "", ended.stdout + ended.stderr, flags=re.MULTILINE))

    return run
