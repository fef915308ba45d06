"""How trtexec 8.5 to 11 writes the shapes of tensors: ``images:8x3x640x640``, more of them behind commas."""

import re
from collections.abc import Mapping, Sequence

Shapes = Mapping[str, Sequence[int]]
"""Tensor name -> shape."""
SEPARATORS = frozenset(",'")
"""trtexec splits its lists at commas before it looks at quotes, which come in pairs: no name may hold one of them."""
_WORD = re.compile(r"(?:(?:'(?P<quoted>[^']+)'|(?P<name>[^,']+)):)?(?P<sizes>\d+(?:x\d+)*)(?:,|$)")


def quoted(name: str) -> str:
    """Quote a tensor's name where trtexec would take a part of it for something else."""
    return f"'{name}'" if set(name) & set(":,") else name


def spelled(shapes: Shapes) -> str:
    """Write shapes, in their order."""
    return ",".join(f"{quoted(name)}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())


def read_shapes(text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Read shapes, as (name, shape) in their order; a name that is not there is empty.

    Raises:
        ValueError: the text is something else.
    """
    found = list(_WORD.finditer(text))
    if not found or "".join(each[0] for each in found) != text:
        raise ValueError(text)
    return tuple(
        (each["quoted"] or each["name"] or "", tuple(int(size) for size in each["sizes"].split("x"))) for each in found
    )
