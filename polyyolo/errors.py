"""Every error that polyyolo raises on purpose; the branch says whose turn it is.

PolyYoloError
├── InputError          you: an option or a file                          exit 2
│   ├── ModelError      the model is not what its name or its use promises
│   ├── ProfileError    a shape profile is wrong, or belongs to another model
│   ├── PictureError    the pictures or arrays cannot be used
│   ├── LabelError      the labels cannot be used, or do not match the pictures
│   └── TableError      a calibration table or cache is damaged or belongs to something else
├── ToolchainError      this machine: something is missing, full, too old or too new   exit 3
└── ToolFailed          their program exited badly                        exit 4

A verdict of FAIL exits 1 and UNPROVEN exits 5: those are results, not errors.
"""

from collections.abc import Sequence
from pathlib import Path


class PolyYoloError(Exception):
    """An error with its remedy: ``message`` says what happened, ``fix`` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class InputError(PolyYoloError):
    """What the user gave cannot be used."""

    exit_code = 2


class ModelError(InputError):
    """The model cannot be read, or is not what its use needs."""


class ProfileError(InputError):
    """A shape profile is wrong in itself or does not fit the model."""


class PictureError(InputError):
    """Pictures or arrays that cannot be calibrated or measured with."""


class LabelError(InputError):
    """Labels that cannot be read or do not belong to the pictures."""


class TableError(InputError):
    """A calibration table or cache that is damaged or was made for something else."""


class ToolchainError(PolyYoloError):
    """This machine lacks something, or has it too old, too new or full."""

    exit_code = 3


class ToolFailed(PolyYoloError):  # noqa: N818 - named for what happened, as the design has it
    """Another program ended badly.

    Attributes:
        argv: the command line, complete.
        status: its exit status; negative is the signal that killed it.
        tail: the last lines that it printed.
        log_path: the file with everything that it printed, where one was written.
    """

    exit_code = 4

    def __init__(  # noqa: PLR0913 - each says another thing about the failure
        self,
        message: str,
        *,
        fix: str = "",
        argv: Sequence[str] = (),
        status: int = 0,
        tail: str = "",
        log_path: Path | None = None,
    ) -> None:
        super().__init__(message, fix=fix)
        self.argv = tuple(argv)
        self.status = status
        self.tail = tail
        self.log_path = log_path
