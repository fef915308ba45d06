"""The edge between polyyolo and a terminal: errors become two lines and an exit code, progress becomes bars."""

import errno
import io
import json
import math
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from polyyolo.errors import InputError, PolyYoloError, ToolchainError, ToolFailed
from polyyolo.progress import listening, without_repeats
from polyyolo.stopping import Stopped, stoppable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

INTERRUPTED = 130
SECONDS_A_LINE = 30
UNUSABLE = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM)
"""What is wrong with a path by itself, whatever is asked of it."""
NO_MEMORY = re.compile("Failed to allocate memory|bad_alloc")
"""What ONNX Runtime says then; Python and numpy have an error for it."""

quiet_option = click.option("--quiet", is_flag=True, help="no progress, notes or warnings on the screen")
"""For commands that take long."""


class Edge(click.Group):
    """The one place that catches our errors: prints them, and exits with their code. A bug keeps its traceback."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]  # noqa: ANN401
        """Run a command line and exit with the code that docs/design.md gives the outcome."""
        _spell_out()
        try:
            with stoppable():
                code = super().main(args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            with suppress(OSError):  # where standard error cannot be written to, the exit code alone tells
                error.show()
            sys.exit(error.exit_code)
        except (PolyYoloError, ImportError, OSError, MemoryError) as error:
            stopped = _stopped_behind(error)
            if stopped:
                _say_stopped(stopped)
            told = _out_of_memory(error) or _ours(error)
            if not told:
                raise
            with suppress(OSError):
                show_error(told)
            sys.exit(told.exit_code)
        except (click.Abort, KeyboardInterrupt, Stopped) as stopped:
            _say_stopped(stopped)
        sys.exit(code if isinstance(code, int) else 0)  # what a command gave to ctx.exit


def _say_stopped(stopped: BaseException) -> NoReturn:
    """Tell that the command was interrupted or asked to end, and exit."""
    by = f"stopped by {stopped}" if isinstance(stopped, Stopped) else "interrupted"
    click.echo(f"{by}: nothing half-written was left", err=True)
    sys.exit(stopped.exit_code if isinstance(stopped, Stopped) else INTERRUPTED)


def _stopped_behind(error: BaseException | None) -> BaseException | None:
    """Give what asked to end behind an error: a package that is stopped while it loads has an error of its own."""
    while error is not None and not isinstance(error, Stopped | KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _spell_out() -> None:
    """Make standard output spell what its encoding lacks, as Python's standard error does: names may hold anything."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _out_of_memory(error: Exception) -> PolyYoloError | None:
    """Tell that memory ran out, where that is behind the error, whatever it says itself; None where it is not."""
    cause = error if isinstance(error, MemoryError) else error.__cause__
    if cause is not error and not NO_MEMORY.search(str(cause)):
        return None
    return ToolchainError(
        ": ".join(filter(None, ["there is not enough memory", " ".join(str(cause).split())])),
        fix="end other programs, or use a machine with more memory; polyyolo doctor tells how much is free",
    )


def _ours(error: Exception) -> PolyYoloError | None:
    """Give an error of ours as it is, and others as ours where a package or a place is to blame; else None."""
    if isinstance(error, ImportError):
        return _lacking(error)
    if isinstance(error, OSError):
        return _unusable(error)
    return error if isinstance(error, PolyYoloError) else None


def _lacking(error: ImportError) -> ToolchainError | None:
    """Tell of a package that cannot be imported; None where that is our own."""
    if (error.name or "").partition(".")[0] == __name__.partition(".")[0]:
        return None
    return ToolchainError(f"a package cannot be imported: {error}", fix="polyyolo doctor tells what to do")


def _unusable(error: OSError) -> PolyYoloError | None:
    """Tell of a full disk, or of a place that no command can use; None where the error is another."""
    from polyyolo.files import FULL

    if error.errno in FULL:  # as where standard output goes: places of results are told with their names
        return ToolchainError("no space is left on the disk for what is printed or written", fix="free some space")
    if error.errno in UNUSABLE and error.filename is not None:
        permission = " or give yourself permission to use it" if error.errno in (errno.EACCES, errno.EPERM) else ""
        return InputError(f"{error.filename} cannot be used: {error.strerror}", fix=f"name another place{permission}")
    if error.errno == errno.ENOENT and error.filename is None:  # only asking for the current folder names no file
        return InputError("the current folder is there no more", fix="change into one that is, and try again")
    return None


def show_error(error: PolyYoloError) -> None:
    """Print what happened and what to do; for another program's failure also its command, last lines and log."""
    click.secho(f"error: {error.message}", fg="red", err=True)
    if error.fix:
        click.echo(f"  fix: {error.fix}", err=True)
    if isinstance(error, ToolFailed):
        for label, value in (("ran", " ".join(error.argv)), ("said", error.tail), ("log", error.log_path)):
            if value:
                click.echo(f"  {label}: {value}", err=True)


class Lines:
    """Say on standard error when a step starts and, now and then, how far it is: for logs, which show no bars."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[int, int | None]] = {}
        self._said = 0.0

    def started(self, step: str, total: int | None) -> None:
        """Say so."""
        self._steps[step] = (0, total)
        self._say(f"{step} ..." if total is None else f"{step} ({total}) ...")

    def advanced(self, step: str, count: int) -> None:
        """Say how far it is, where nothing was said for a while; not of what never began, as a page of an index."""
        if step not in self._steps:
            return
        done, total = self._steps[step]
        self._steps[step] = (done + count, total)
        if time.monotonic() - self._said >= SECONDS_A_LINE:
            self._say(f"{step}: {done + count}" + (f" of {total}" if total else ""))

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        click.echo(text, err=True)


class Bars:
    """Draw each step as a bar on standard error, or write lines where that is no terminal; keep warnings for --json."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.warnings: list[dict[str, str]] = []
        self.notes: list[str] = []
        self._progress: Progress | None = None
        self._lines: Lines | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":  # noqa: PYI034 - typing.Self needs Python 3.11
        """Start drawing, unless quiet."""
        if not self.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            console = Console(stderr=True)
            if not console.is_interactive:
                self._lines = Lines()
                return self
            self._progress = Progress(
                TextColumn("{task.description:<28}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
            )
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the finished bars on the screen."""
        if self._progress:
            self._progress.stop()

    def started(self, step: str, total: int | None) -> None:
        """Draw a new bar, or begin the same one again."""
        if self._lines:
            self._lines.started(step, total)
        if not self._progress:
            return
        if step in self._tasks:
            self._progress.reset(self._tasks[step], total=total)
        else:
            self._tasks[step] = self._progress.add_task(step, total=total)

    def advanced(self, step: str, count: int) -> None:
        """Move the bar."""
        if self._lines:
            self._lines.advanced(step, count)
        if self._progress and step in self._tasks:
            self._progress.advance(self._tasks[step], count)

    def finished(self, step: str) -> None:
        """Stop the bar's clock; a step without a total becomes full."""
        if self._progress and step in self._tasks:
            task = self._tasks[step]
            if self._progress.tasks[task].total is None:
                self._progress.update(task, total=1, completed=1)
            self._progress.stop_task(task)

    def warned(self, message: str, fix: str) -> None:
        """Print a warning above the bars."""
        self.warnings.append({"message": message, "fix": fix})
        self._say(f"warning: {message}" + (f"\n  fix: {fix}" if fix else ""), style="yellow")

    def noted(self, message: str) -> None:
        """Print a note above the bars."""
        self.notes.append(message)
        self._say(message, style="dim")

    def _say(self, text: str, style: str) -> None:
        if self._lines:
            click.echo(text, err=True)
        if self._progress:
            self._progress.console.print(text, style=style, highlight=False, markup=False)


@contextmanager
def bars(*, quiet: bool = False) -> Iterator[Bars]:
    """Show the progress, notes and each warning of everything inside the block."""
    with Bars(quiet=quiet) as drawn, listening(drawn), without_repeats():
        yield drawn


def print_json(value: object) -> None:
    """Print plain data as indented JSON on standard output; numbers that it lacks, such as infinity, are null."""
    click.echo(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def printable(text: str) -> str:
    """Replace what could move the cursor or change colours: the text is of a file that somebody else wrote."""
    return "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
