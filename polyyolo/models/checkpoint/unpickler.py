"""A pickle read as data: containers are built, everything else stays a description of what the file asked for.

Python's own unpickler, even with ``find_class`` restricted, still calls what it was given, sets attributes on it and
trusts the indices of its memo. Here nothing is imported, called or given attributes: a REDUCE or NEWOBJ of an allowed
name becomes a ``Built`` that holds the name and the arguments, and any other name is refused.
"""

import pickletools
from typing import Any

from polyyolo.models.checkpoint.allowed import forbidden
from polyyolo.models.checkpoint.objects import Refused
from polyyolo.models.checkpoint.opcodes import ACTIONS, Machine

MAX_STEPS = 500_000
"""Opcodes in a pickle; yolov5s has 40,000."""


def unpickle(data: bytes) -> Any:  # noqa: ANN401 - a pickle holds anything
    """Read a pickle.

    Returns:
        Dicts, lists, tuples, sets and scalars, with ``Built``, ``Name`` and ``Storage`` in place of all else.

    Raises:
        Refused: it is malformed or too long.
        ModelError: it names something that is not allowed, or uses an opcode that checkpoints have no use for.
    """
    machine = Machine()
    try:
        for step, (opcode, arg, _) in enumerate(pickletools.genops(data)):
            if step >= MAX_STEPS:
                raise Refused(f"its pickle has more than {MAX_STEPS} steps")
            if opcode.name == "STOP":
                return machine.pop()
            act = ACTIONS.get(opcode.name)
            if act is None:
                raise forbidden(f"the pickle opcode {opcode.name}")
            act(machine, arg)
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise Refused(f"its pickle breaks off or is malformed: {error}") from error
    raise Refused("its pickle has no end")
