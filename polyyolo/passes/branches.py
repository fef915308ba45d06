"""What the branches that lead to a Concat have in common, and what their tensors are once some axes are flattened."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from polyyolo.passes.surgery import constant_of

Row = tuple[gs.Tensor, ...]
"""One tensor a branch, in the order of the Concat's inputs."""
Dims = list[int | str]
Values = npt.NDArray[np.generic]

STANDARD = (None, "", "ai.onnx")


class NotSharedError(Exception):
    """The branches do not do the same, or it is not sure that they do."""


def makers_of(row: Row) -> list[gs.Node]:
    """Give the nodes that made ``row``; they are alike but for their constants and where their inputs come from.

    Raises:
        NotSharedError: no node made one of them, or they are not alike.
    """
    nodes = [tensor.inputs[0] for tensor in row if tensor.inputs]
    kinds = [(node.op, node.domain, node.attrs, len(node.inputs), len(node.outputs)) for node in nodes]
    if len(nodes) < len(row) or kinds.count(kinds[0]) < len(kinds) or nodes[0].domain not in STANDARD:
        raise NotSharedError
    if not any(
        all(one is other for one, other in zip(row, outputs, strict=True)) for outputs in rows_of(nodes, "outputs")
    ):
        raise NotSharedError
    return nodes


def rows_of(nodes: Sequence[gs.Node], side: str) -> list[Row]:
    """Give the first of the ``inputs`` (or ``outputs``) of each node, then the second of each, and so on."""
    return list(zip(*(getattr(node, side) for node in nodes), strict=True))


def same_constant(row: Row) -> gs.Tensor:
    """Give the constant that all branches have.

    Raises:
        NotSharedError: they differ, or are computed.
    """
    values = [constant.values for constant in map(constant_of, row) if constant is not None]
    if len(values) < len(row) or not all(np.array_equal(value, values[0]) for value in values):
        raise NotSharedError
    return row[0]


def axes_of(settings: Sequence[gs.Tensor]) -> list[int]:
    """Give the axes of a Slice, from its inputs after the first.

    Raises:
        NotSharedError: it has none, and so cuts every axis, or they are computed.
    """
    constant = constant_of(settings[2]) if len(settings) > 2 else None
    if constant is None:
        raise NotSharedError
    return [int(axis) for axis in constant.values]


def flattened(shape: Sequence[object] | None, axis: int, count: int) -> Dims:
    """Flatten ``count`` axes, from ``axis`` on.

    Raises:
        NotSharedError: an axis is open, other than one with a name before ``axis``; or there are too few.
    """
    known = [dim for dim in shape or () if isinstance(dim, int | str)]
    inner = [dim for dim in known[axis:] if isinstance(dim, int) and dim > 0]
    if shape is None or len(known) < len(shape) or len(inner) < max(len(known) - axis, count):
        raise NotSharedError
    return [*known[:axis], math.prod(inner[:count]), *inner[count:]]


def spread(value: Values, shape: Sequence[int], axis: int, count: int) -> Values:
    """Make a constant as large as ``shape`` from ``axis`` on, and flatten it likewise."""
    whole = value.reshape((1,) * (len(shape) - value.ndim) + value.shape)
    front = whole.shape[:axis]
    return np.broadcast_to(whole, (*front, *shape[axis:])).reshape(*front, -1, *shape[axis + count :])
