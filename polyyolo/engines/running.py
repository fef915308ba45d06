"""Run one foreign program: all it prints goes to a log as it comes, and it never outlives us."""

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from attrs import frozen

from polyyolo.engines.plan import shell_line
from polyyolo.errors import ToolchainError
from polyyolo.files import uninterrupted, writable
from polyyolo.records import Command

GRACE_S = 3.0
"""How long a program may take to end when asked, before it is asked less kindly."""
KEPT_LINES = 500
"""More than trtexec's help, behind which some releases hide what was wrong."""


@frozen
class Ended:
    """How a program ended.

    Attributes:
        status: exit status; negative is the signal that killed it.
        lines: the last lines of standard output and standard error, in the order they came.
    """

    status: int
    lines: tuple[str, ...]


class Run(Protocol):
    """What runs a command and logs it; tests pass their own."""

    def __call__(self, command: Command, log: Path) -> Ended:
        """Run to the end."""


def run_logged(command: Command, log: Path, folder: Path | None = None) -> Ended:
    """Run a command to its end; the log begins with the command itself.

    An exception in between, Ctrl-C among them, ends the program first: interrupt, terminate, kill. A second one does
    not wait for that: it kills. All that the program started is ended with it: a trtexec may be a script that calls
    the real one. So is what a program leaves behind that keeps its output open, as a monitor that a script started.

    Args:
        command: what runs.
        log: file for everything that it prints.
        folder: where it runs; None for the current one.

    Raises:
        ToolchainError: the program cannot be started, or the disk is full.
        InputError: the log cannot be written.
    """
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    with writable(log.parent):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(f"$ {shell_line(command)}\n")
            stream.flush()
            child = None
            try:
                with uninterrupted():  # or nobody would know of a program that was just started
                    child = _started(command, folder)
                with _heard_out(child):
                    for line in child.stdout or ():
                        stream.write(line)
                        stream.flush()
                        lines.append(line.rstrip())
                status = child.wait()
            except BaseException:
                if child:
                    _stop(child)
                raise
            finally:
                if child and child.stdout:
                    child.stdout.close()
    return Ended(status, tuple(lines))


def _started(command: Command, folder: Path | None) -> "subprocess.Popen[str]":
    # A user who exported the RTX switch for his own work must still get the TensorRT that the plan names.
    inherited = {name: value for name, value in os.environ.items() if name != "POLYGRAPHY_USE_TENSORRT_RTX"}
    try:
        return subprocess.Popen(  # noqa: S603 - an argument list, no shell
            command.argv,
            cwd=folder,
            env={**inherited, **command.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a group of its own, which _stop ends as one
        )
    except OSError as error:
        raise ToolchainError(
            f"{command.argv[0]} cannot be started: {error.strerror}", fix="install it, or choose another --toolchain"
        ) from error


@contextmanager
def _heard_out(child: "subprocess.Popen[str]") -> Iterator[None]:
    """End what a program left behind where that keeps its output open: nobody would ever hear the end of it."""
    heard = threading.Event()

    def end() -> None:
        child.wait()
        if not heard.wait(GRACE_S):
            _signal(child, signal.SIGKILL)

    threading.Thread(target=end, daemon=True).start()
    try:
        yield
    finally:
        heard.set()


def _stop(child: "subprocess.Popen[str]") -> None:
    try:
        for asked in (signal.SIGINT, signal.SIGTERM):
            if child.poll() is not None:
                break
            _signal(child, asked)
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_S)
    finally:
        _signal(child, signal.SIGKILL)
        child.wait()


def _signal(child: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Reach a program and all that it started; nobody is left, and that is well too."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
