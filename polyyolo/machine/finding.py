"""What was looked for on this machine, and what came of it."""

from collections.abc import Callable, Iterable
from enum import Enum

from attrs import frozen

from polyyolo.records import Toolchain


class State(str, Enum):
    """FLAWED is there, but broken, unfit for something beside it, or too little."""

    FOUND = "found"
    MISSING = "missing"
    FLAWED = "flawed"


@frozen
class Finding:
    """One thing that was looked for.

    Attributes:
        area: what it belongs to, as "packages" or "gpu".
        got: version, path or figure; where it is missing or flawed, the reason.
        enables: what it is good for.
        fix: the command, or else the sentence, that would help; empty where nothing is to be done.
        needed: ``polyyolo engine`` gives no engine here while this is not found.
    """

    area: str
    name: str
    state: State
    got: str
    enables: str = ""
    fix: str = ""
    needed: bool = False

    @property
    def blocks(self) -> bool:
        """Whether this alone keeps ``polyyolo engine`` from giving an engine."""
        return self.needed and self.state is not State.FOUND


@frozen
class Diagnosis:
    """Everything that was looked for.

    Attributes:
        ready: ``polyyolo engine`` can give an engine here.
        answer: one sentence: what it can do, and what it cannot.
        toolchain: what would build.
    """

    ready: bool
    answer: str
    toolchain: Toolchain
    findings: tuple[Finding, ...]


def examined(area: str, look: Callable[[], Iterable[Finding]], *, needed: bool = False) -> tuple[Finding, ...]:
    """Look at one area; whatever goes wrong while looking is a finding too.

    Args:
        area: for people.
        look: gives what it found.
        needed: nothing can be promised where this could not be looked at.
    """
    try:
        return tuple(look())
    except Exception as error:  # noqa: BLE001 - a machine can be broken in ways that nobody has listed
        told = " ".join(f"cannot be looked at: {type(error).__name__}: {error}".split())
        fix = f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) and error.name else ""
        return (Finding(area, area, State.FLAWED, told, fix=fix, needed=needed),)
