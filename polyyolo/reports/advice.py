"""From a run to what to do next: one rule for each check, in the words and with the command of whoever reads it."""

from collections.abc import Callable, Iterator

from attrs import evolve

from polyyolo.records import Check, Outcome, Run
from polyyolo.records.measured import OTHER_ROUTE
from polyyolo.reports.accuracy_checks import ACCURACY, AGREEMENT, OWN_ACCURACY
from polyyolo.reports.remedies.accuracy import accuracy, agreement
from polyyolo.reports.remedies.engine import engine, in_int8, of_its_route, own_accuracy, speed, speedup
from polyyolo.reports.remedies.remedy import Advice, otherwise, together

RULES: dict[str, Callable[[Run, Check], Iterator[Advice]]] = {
    "engine built": engine,
    "layers in INT8": in_int8,
    ACCURACY: accuracy,
    AGREEMENT: agreement,
    "speed": speed,
    "speed-up": speedup,
    OWN_ACCURACY: own_accuracy,
}
"""By the name of the check."""


def answer(run: Run) -> str:
    """Answer in a sentence whether this can be shipped."""
    outcome, checks = run.verdict.outcome, run.verdict.checks
    if outcome is Outcome.PASS:
        return "Yes: every check was made and passed."
    count = sum(check.outcome is outcome for check in checks)
    told = f"{count} of {len(checks)} checks"
    if outcome is Outcome.FAIL:
        return f"No: {told} failed. Do not ship this as it is."
    return f"Not yet: nothing failed, but {told} {'is' if count == 1 else 'are'} not proven."


def advise(run: Run) -> tuple[Advice, ...]:
    """Say what to do about each check that did not pass, those that failed first; what serves several is said once."""
    merged: dict[tuple[str, str], Advice] = {}
    opened = [check for check in run.verdict.checks if check.outcome is not Outcome.PASS]
    for check in sorted(opened, key=lambda each: each.outcome is not Outcome.FAIL):
        for advice in _advised(run, check):
            key = (advice.what, advice.command)
            earlier = merged[key].checks if key in merged else ()
            merged[key] = evolve(advice, checks=(*earlier, *(name for name in advice.checks if name not in earlier)))
    return _pictures_at_once(run, tuple(merged.values()))


def _pictures_at_once(run: Run, advices: tuple[Advice, ...]) -> tuple[Advice, ...]:
    """Ask for all other pictures in one command, where the first of them was asked for."""
    wanting = [each for each in advices if each.pictures]
    if len(wanting) < 2:
        return advices
    first = together(run, wanting)
    return tuple(first if each is wanting[0] else each for each in advices if each not in wanting[1:])


def _advised(run: Run, check: Check) -> tuple[Advice, ...]:
    rule = RULES.get(check.name)
    if check.got.startswith(OTHER_ROUTE) and run.engine:
        return (of_its_route(run, check),)
    return (tuple(rule(run, check)) if rule else ()) or (otherwise(run, check),)
