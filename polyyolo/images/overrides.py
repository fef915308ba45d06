"""What a user may change about a model's preprocessing, as text or as values, each checked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

FITS = ("letterbox", "top-left", "stretch")
COLOURS = ("rgb", "bgr", "grey")


def mistakes_in(overrides: Mapping[str, Any]) -> list[str]:
    """Name every mistake in preprocessing options, before any model is known; None stands for the model's preset."""
    return [f"there is no option {name!r}" for name in overrides if name not in OPTIONS] + [
        f"{name} is {value!r}, not {wanted}"
        for name, (wanted, _, is_right) in OPTIONS.items()
        if (value := overrides.get(name)) is not None and not is_right(value)
    ]


def from_text(name: str, text: str) -> Any:  # noqa: ANN401 - each option has its own type
    """Read one preprocessing option from text; numbers may be fractions such as 1/255.

    Raises:
        ValueError: the text stands for no such value; the message says what is wanted.
    """
    wanted, parse, is_right = OPTIONS[name]
    try:
        value = parse(text)
    except (ValueError, ZeroDivisionError):
        value = None
    if value is None or not is_right(value):
        raise ValueError(f"{name} is {text!r}, not {wanted}")
    return value


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(_number(part) for part in text.split(","))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_one_or_three(value: object) -> bool:
    return isinstance(value, Sequence) and len(value) in {1, 3} and all(map(_is_number, value))


OPTIONS: Mapping[str, tuple[str, Callable[[str], Any], Callable[[Any], bool]]] = {
    "fit": ("one of " + ", ".join(FITS), str.strip, lambda value: value in FITS),
    "pad": ("a whole number from 0 to 255", int, lambda value: type(value) is int and 0 <= value <= 255),
    "colour": ("one of " + ", ".join(COLOURS), str.strip, lambda value: value in COLOURS),
    "scale": ("a number above 0", _number, lambda value: _is_number(value) and value > 0),
    "mean": ("one or three numbers", _numbers, _is_one_or_three),
    "std": ("one or three numbers above 0", _numbers, lambda value: _is_one_or_three(value) and min(value) > 0),
}
