"""One thing to do, and the command for it."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from polyyolo.records import Check, Outcome, Request, Run
from polyyolo.reports.command_line import engine_line

BUDGETS = (0.05, 0.10, 0.15, 0.20, 0.30, 0.50)
"""Shares of the work to keep in float that are worth a try, one after the other."""


@frozen
class Advice:
    """One thing to do.

    Attributes:
        checks: names of the checks that it is for.
        what: in a sentence.
        command: a line for a POSIX shell; empty where there is none.
        pictures: options of ``Request`` for which it wants other pictures, and nothing else: one run can have all.
    """

    checks: tuple[str, ...]
    what: str
    command: str = ""
    pictures: frozenset[str] = frozenset()


def with_pictures(run: Run, check: Check, what: str, *names: str) -> Advice:
    """Advise to run again with other pictures, of which DIR is to be the folder."""
    return Advice((check.name,), what, _again_with(run, names), frozenset(names))


def together(run: Run, advices: Sequence[Advice]) -> Advice:
    """Make one of several that want other pictures."""
    names = frozenset[str]().union(*(each.pictures for each in advices))
    checks = tuple(dict.fromkeys(name for each in advices for name in each.checks))
    what = " ".join(dict.fromkeys(each.what for each in advices))
    return Advice(checks, what, _again_with(run, sorted(names)), names)


def _again_with(run: Run, names: Iterable[str]) -> str:
    """Spell the command with other pictures: as many to calibrate with as are usual, where fewer were asked for."""
    changes: dict[str, object] = dict.fromkeys(names, Path("DIR"))
    if run.request and "images" in changes:
        changes["count"] = max(run.request.count, Request(run.request.model).count)
    return again(run, **changes)


def again(run: Run, **changes: object) -> str:
    """Spell the command that makes the run again, with some options changed; empty where it is not known."""
    return shlex.join(engine_line(run.request, **changes)) if run.request else ""


def otherwise(run: Run, check: Check) -> Advice:
    """Repeat what was wanted, where no rule knows better."""
    verb = "was not reached" if check.outcome is Outcome.FAIL else "is not proven"
    return Advice((check.name,), f"{check.name}: {check.wanted} {verb}; {check.got}.", again(run))
