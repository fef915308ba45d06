"""The command line that a request came from, so that a report can say what to type next."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from polyyolo.files import file_word
from polyyolo.records import USUAL, Request

SPELT = {"output": "-o", "compute_capabilities": "--compute-capability"}
"""Options that are not called as their field of ``Request`` is."""
UNSPELT = ("model", "for_both_routes")
"""Fields that are no options: the argument, and what only other commands ask for."""


def engine_line(request: Request, **changes: Any) -> tuple[str, ...]:  # noqa: ANN401 - fields of Request
    """Spell ``polyyolo engine`` as it was asked for, with some options changed; those at their default are left out.

    Args:
        request: what was asked for.
        **changes: fields of ``Request`` -> their new values.

    Returns:
        the words of the command; reading them gives the changed request again.
    """
    asked = attrs.evolve(request, **changes)
    return ("polyyolo", "engine", file_word(asked.model), *_options(asked))


def preprocessing_words(overrides: Mapping[str, Any]) -> Iterator[str]:
    """Spell the options that say what pictures go through, as every command takes them."""
    for option, value in overrides.items():
        yield from _spelt(f"--{option}", value)


def _options(asked: Request) -> Iterator[str]:
    for name in (field.name for field in attrs.fields(Request)):
        value = getattr(asked, name)
        if name == "limits":
            yield from _changed(value, USUAL.limits)
        elif name == "overrides":
            yield from preprocessing_words(value)
        elif name not in UNSPELT and value != getattr(USUAL, name):
            yield from _repeated(name, value)


def _changed(limits: attrs.AttrsInstance, usual: attrs.AttrsInstance) -> Iterator[str]:
    for field in attrs.fields(type(limits)):
        value = getattr(limits, field.name)
        if value != getattr(usual, field.name):
            yield from _spelt(_flag(field.name), value)


def _repeated(name: str, value: object) -> Iterator[str]:
    for each in value if isinstance(value, tuple) else (value,):
        yield from _spelt(_flag(name), each)


def _flag(name: str) -> str:
    return SPELT.get(name, "--" + name.replace("_", "-"))


def _spelt(flag: str, value: object) -> Iterator[str]:
    """Spell one option; a value that begins with a dash is tied to it, or it would pass for an option."""
    if isinstance(value, bool):
        yield flag if value else flag.replace("--", "--no-", 1)
        return
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(getattr(value, "value", value))
    if text.startswith("-"):
        yield from (f"{flag}={text}",) if flag.startswith("--") else (flag + text,)
    else:
        yield from (flag, text)
