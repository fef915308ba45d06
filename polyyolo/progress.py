"""How long work tells of itself: stages call these functions, and whoever runs them may listen.

The library never prints. The command line sets a ``Listener`` that draws bars; without one all of this is silent.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

from attrs import frozen

Item = TypeVar("Item")


@frozen
class Warned:
    """Something the user should know that did not stop the work, and what to do about it."""

    message: str
    fix: str = ""


class Listener(Protocol):
    """What the command line implements to show progress."""

    def started(self, step: str, total: int | None) -> None:
        """A step began; ``total`` counts its items where that is known."""

    def advanced(self, step: str, count: int) -> None:
        """``count`` more items of ``step`` are done."""

    def finished(self, step: str) -> None:
        """The step ended, well or badly."""

    def warned(self, message: str, fix: str) -> None:
        """Something the user should know, and what to do about it."""

    def noted(self, message: str) -> None:
        """Something worth a line: what was reused, chosen or left alone."""


class Silent:
    """The listener when nobody listens."""

    def started(self, step: str, total: int | None) -> None:
        """Ignore it."""

    def advanced(self, step: str, count: int) -> None:
        """Ignore it."""

    def finished(self, step: str) -> None:
        """Ignore it."""

    def warned(self, message: str, fix: str) -> None:
        """Ignore it."""

    def noted(self, message: str) -> None:
        """Ignore it."""


class Recorder:
    """Pass everything on to a listener, and keep the warnings."""

    def __init__(self, listener: Listener) -> None:
        self.warnings: list[Warned] = []
        self.started = listener.started
        self.advanced = listener.advanced
        self.finished = listener.finished
        self.noted = listener.noted
        self._listener = listener

    def warned(self, message: str, fix: str) -> None:
        """Keep it, once, and pass it on."""
        if Warned(message, fix) not in self.warnings:
            self.warnings.append(Warned(message, fix))
        self._listener.warned(message, fix)


_listener: ContextVar[Listener] = ContextVar("listener", default=Silent())  # noqa: B039 - it holds no state


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send everything that happens inside the block to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Keep the warnings of everything inside the block; whoever listens hears them as before."""
    recorder = Recorder(_listener.get())
    with listening(recorder):
        yield recorder


class Unrepeated(Recorder):
    """Pass everything on, each warning once."""

    def warned(self, message: str, fix: str) -> None:
        """Pass it on where it is new."""
        if Warned(message, fix) not in self.warnings:
            super().warned(message, fix)


@contextmanager
def without_repeats() -> Iterator[None]:
    """Let whoever listens hear each warning once: several runs on one machine warn of the same."""
    with listening(Unrepeated(_listener.get())):
        yield


@contextmanager
def step(name: str, total: int | None = None) -> Iterator[None]:
    """Announce a step; call ``advance(name)`` inside it for each item done."""
    listener = _listener.get()
    listener.started(name, total)
    try:
        yield
    finally:
        listener.finished(name)


def advance(name: str, count: int = 1) -> None:
    """Count ``count`` more items of the step ``name`` as done."""
    _listener.get().advanced(name, count)


def track(items: Iterable[Item], name: str, total: int | None = None) -> Iterator[Item]:
    """Yield ``items`` and count each as done when the consumer comes back for the next."""
    with step(name, total):
        for item in items:
            yield item
            advance(name)


def warn(message: str, fix: str = "") -> None:
    """Tell the user about something that does not stop the work."""
    _listener.get().warned(message, fix)


def note(message: str) -> None:
    """Tell the user something worth a line."""
    _listener.get().noted(message)
