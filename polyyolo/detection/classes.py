"""Which classes are shown, by name or by number."""

from collections.abc import Sequence
from difflib import get_close_matches

from polyyolo.errors import InputError
from polyyolo.records import ModelSpec


def choose_classes(wanted: Sequence[str], spec: ModelSpec) -> tuple[int, ...]:
    """Find the classes that are called ``wanted``.

    Args:
        wanted: names as the model has them, in any case, or numbers; blanks around them do not count.
        spec: the model.

    Returns:
        Their numbers, ascending and without repetition; none for none.

    Raises:
        InputError: a name or a number that the model does not have; near names are listed.
    """
    index = {name.lower(): place for place, name in reversed(list(enumerate(spec.names)))}
    index |= {name: place for place, name in reversed(list(enumerate(spec.names)))}  # as it is written comes first
    return tuple(sorted({_number(text.strip(), index, spec) for text in wanted}))


def _number(text: str, index: dict[str, int], spec: ModelSpec) -> int:
    for name in (text, text.lower()):
        if name in index:
            return index[name]
    if text.isdecimal() and int(text) in spec.head.labels:
        return int(text)
    near = get_close_matches(text.lower(), list(index), n=3, cutoff=0.5)
    alike = " or ".join(dict.fromkeys(repr(spec.names[index[name]]) for name in near))
    known = f"the model has {len(spec.names)}, as {', '.join(spec.names[:5])}" if spec.names else "the model has none"
    numbers = f"a number from 0 to {spec.head.labels.stop - 1}"
    raise InputError(
        f"{spec.path.name} has no class {text!r}" + (f"; did you mean {alike}?" if near else ""),
        fix=f"give names to --classes ({known}), or {numbers}",
    )
