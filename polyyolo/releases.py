"""Releases of TensorRT: as people write them, "8.6.1", and as its headers and banners do, 8601."""

import re

from polyyolo.errors import InputError

OLDEST = (8, 5)
"""Below it Polygraphy refuses, and trtexec speaks another dialect."""
WITHOUT_CALIBRATORS = (11, 0)
"""First that has no INT8 calibrators, and reads no calibration cache."""
SIX_DIGITS = 10
"""First major release whose number has six digits: major * 10000 + minor * 100 + patch; major * 1000 before."""


def checked(version: str) -> str:
    """Refuse what is no version number.

    Raises:
        InputError: it is not made of numbers and dots.
    """
    if not re.fullmatch(r"\d+(\.\d+){0,3}", version):
        raise InputError(f"{version!r} is no version of TensorRT", fix="give it as 8.6, 10.16 or 11.4.0")
    return version


def release_of(version: str) -> tuple[int, int]:
    """Give major and minor of a version, whatever stands behind them; what is missing is 0."""
    major, minor, *_ = (*map(int, re.findall(r"\d+", version)), 0, 0)
    return major, minor


def spelled(number: int) -> str:
    """Spell the number of a header as a version: 8601 is "8.6.1", 101600 is "10.16.0"."""
    six = number >= SIX_DIGITS * 10000
    major = number // (10000 if six else 1000)
    return f"{major}.{number // 100 % (100 if six else 10)}.{number % 100}"


def number_of(version: str) -> int | None:
    """Give the number by which TensorRT's headers call a version; None where none has so large a minor or patch."""
    major, minor, patch, *_ = (*map(int, checked(version).split(".")), 0, 0)
    six = major >= SIX_DIGITS
    if minor > (99 if six else 9) or patch > 99:
        return None
    return major * (10000 if six else 1000) + minor * 100 + patch
