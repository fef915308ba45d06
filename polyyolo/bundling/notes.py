"""What the shell scripts write down: a name and a value in each line."""

from collections.abc import Mapping
from pathlib import Path

from polyyolo.errors import InputError

BUILD = ("number", "route", "seconds", "bytes", "sha256")


def read_notes(path: Path, wanted: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Read ``name=value`` lines.

    Raises:
        InputError: the file cannot be read, or lacks one of ``wanted``.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", fix="copy the folder back again, whole") from error
    notes = dict(line.split("=", 1) for line in lines if "=" in line)
    missing = [name for name in wanted if name not in notes]
    if missing:
        raise InputError(f"{path} does not tell {', '.join(missing)}", fix="copy the folder back again, whole")
    return notes
