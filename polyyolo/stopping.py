"""Signals that ask a process to end, taken as Ctrl-C is: what was begun is cleaned up first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

GOODBYES = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """The process was asked to end; no ``except Exception`` on the way out may hold that up."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.exit_code = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Let these signals raise ``Stopped`` inside the block, except those that are ignored (nohup) or handled."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    taken = [number for number in GOODBYES if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, _: object) -> NoReturn:
    raise Stopped(number)
