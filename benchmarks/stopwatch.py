"""Seconds and peak memory of a piece of work, told by the process that did it. Standard library only.

Each contender runs in a process of its own: another environment may do it, nothing is left from the one before, and
the peak is its own. ``VmHWM`` is read for that, because ``ru_maxrss`` starts at the parent's peak.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

MARK = "measured: "
PATIENCE = 3600


class Failed(Exception):  # noqa: N818 - a result like others
    """A contender did not come to its end; the message is its last line."""


class Stopwatch:
    """Times a ``with`` block; ``tell`` then gives the figures to the process that asked.

    Attributes:
        seconds: of the block.
        cpu_seconds: that all its threads computed; other programs lengthen them less.
    """

    def __enter__(self) -> "Stopwatch":  # noqa: PYI034 - typing.Self came with Python 3.11
        # Some contenders take 16 GB: should memory run out, this process goes and nobody else's.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        self._start, self._worked = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._start
        self.cpu_seconds = time.process_time() - self._worked

    def tell(self, **more: object) -> None:
        """Print the figures as the last line."""
        times = {"seconds": round(self.seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}
        print(MARK + json.dumps({**times, "peak_mib": peak_mib(), **more}), flush=True)


def peak_mib() -> int:
    """Give the most memory that this process ever had resident, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return round(int(peak.split()[1]) / 1024)


def ask(python: Path | str, script: Path | str, *arguments: object) -> dict[str, Any]:
    """Run a script that lies beside this one and give what it told.

    Raises:
        Failed: it ended without telling.
    """
    argv = [str(python), str(Path(__file__).parent / script), *map(str, arguments)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=PATIENCE)
    told = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not told:
        raise Failed(_reason(done.returncode, done.stderr.splitlines()))
    found: dict[str, Any] = json.loads(told[-1][len(MARK) :])
    return found


def _reason(status: int, lines: Sequence[str]) -> str:
    if status == -9:
        return "killed: more memory was needed than there is"
    return lines[-1] if lines else f"exit status {status}"


def here() -> str:
    """Give this interpreter: contenders of the same environment run in it."""
    return sys.executable
