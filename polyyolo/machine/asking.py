"""Ask another program something, and take no for an answer: it may hang, crash, print garbage or not start."""

import subprocess
from collections.abc import Sequence

from attrs import frozen


@frozen
class Answer:
    """What a program said.

    Attributes:
        text: its standard output.
        flaw: why that is no answer; empty where it is one.
    """

    text: str
    flaw: str = ""


def ask(argv: Sequence[str], patience_s: float) -> Answer:
    """Run a program that should answer at once; never raises."""
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return Answer(_text(error.stdout), f"no answer within {patience_s:g} s")
    except (OSError, ValueError) as error:
        return Answer("", f"it does not start: {error}")
    if done.returncode < 0:
        return Answer(done.stdout, f"it was killed by signal {-done.returncode}")
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        return Answer(done.stdout, f"it ended with status {done.returncode} and said: {last[:200]}")
    return Answer(done.stdout)


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
