"""Move a Concat up through what its branches all do, so that each operator runs once, on what was joined before it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from attrs import Factory, define, field

from polyyolo.passes.branches import (
    Dims,
    NotSharedError,
    Row,
    Values,
    axes_of,
    flattened,
    makers_of,
    rows_of,
    same_constant,
    spread,
)
from polyyolo.passes.surgery import constant_of, free_name, names_of

ELEMENTWISE = frozenset({"Sigmoid", "Exp", "Add", "Sub", "Mul", "Div", "Pow"})
Operands = tuple[list[gs.Tensor], dict[str, Any]]
"""Inputs and attributes."""


def lift(graph: gs.Graph, concat: gs.Node) -> frozenset[str]:
    """Compute the output of ``concat`` by operators that each work on all branches.

    1. Concat(f(x), f(y)) is f(Concat(x, y)) where f works element by element, or along another axis. The constants of
       the branches are joined as well.
    2. A Reshape that flattens several axes into the Concat's is done before f, not after it.

    So every number goes through the same operators in the same order, and comes out the same.

    Args:
        graph: with the shapes of its tensors; what led to the output before stays in it until it is cleaned up.
        concat: one of its nodes.

    Returns:
        The tensors that the output is no longer computed from; none where the branches share no operator, and nothing
        was changed.
    """
    output = concat.outputs[0]
    try:
        lifting = _Lift(graph, concat.attrs["axis"] % len(output.shape or ()))
        joined = lifting.shared(tuple(concat.inputs), 1)
    except (NotSharedError, ZeroDivisionError):
        return frozenset()
    last = joined.inputs[0]
    concat.outputs.clear()
    last.outputs[[id(tensor) for tensor in last.outputs].index(id(joined))] = output
    return frozenset(lifting.replaced)


@define
class _Lift:
    """One Concat on its way up. In each method ``count`` axes, from ``axis`` on, are to be flattened into one.

    Attributes:
        graph: gets the new nodes.
        axis: of the Concat.
        made: what a row was joined to, since branches part and meet again.
        replaced: names of the tensors that are joined before the operator that made them.
        names: of tensors, which no new one may have.
    """

    graph: gs.Graph
    axis: int
    made: dict[tuple[int, ...], gs.Variable] = Factory(dict)
    replaced: set[str] = Factory(set)
    names: set[str] = field(init=False)

    @names.default
    def _taken(self) -> set[str]:
        return names_of(self.graph)

    def shared(self, row: Row, count: int) -> gs.Variable:
        """Join ``row`` before the operator that made each of its tensors.

        Raises:
            NotSharedError: they were not made alike, or the operator gives something else for what is joined.
        """
        nodes = makers_of(row)
        outputs = rows_of(nodes, "outputs")
        if nodes[0].op == "Reshape":
            return self._before_reshape(rows_of(nodes, "inputs")[0], outputs[0], count)
        shapes = [self._flat(each, count) for each in outputs]
        inputs, attrs = self._operands(nodes, count)
        joined = [self._variable(each[0], dims) for each, dims in zip(outputs, shapes, strict=True)]
        self.graph.nodes.append(gs.Node(nodes[0].op, joined[0].name, attrs, inputs, joined))
        self.replaced.update(tensor.name for each in outputs for tensor in each)
        self.made.update({_key(each, count): tensor for each, tensor in zip(outputs, joined, strict=True)})
        return self.made[_key(row, count)]

    def _joined(self, row: Row, count: int) -> gs.Variable:
        """Join ``row`` as early as can be: at the latest here."""
        if _key(row, count) not in self.made:
            try:
                self.made[_key(row, count)] = self.shared(row, count)
            except NotSharedError:
                self.made[_key(row, count)] = self._concat(row, count)
        return self.made[_key(row, count)]

    def _before_reshape(self, source: Row, output: Row, count: int) -> gs.Variable:
        """Flatten what the Reshapes read, where that comes to the same as flattening what they give."""
        if any(tensor.shape is None for tensor in (*source, *output)):
            raise NotSharedError
        counts = {count + len(x.shape) - len(y.shape) for x, y in zip(source, output, strict=True)}
        if len(counts) > 1 or min(counts) < 1 or self._flat(source, min(counts)) != self._flat(output, count):
            raise NotSharedError
        return self._joined(source, min(counts))

    def _operands(self, nodes: Sequence[gs.Node], count: int) -> Operands:
        """Give the inputs and attributes of one node that does the work of all."""
        rows = rows_of(nodes, "inputs")
        if nodes[0].op in ELEMENTWISE:
            output = rows_of(nodes, "outputs")[0]
            return [self._operand(row, output, count) for row in rows], dict(nodes[0].attrs)
        if nodes[0].op == "Concat":
            return self._values(rows, count), {"axis": self._moved(nodes[0].attrs["axis"], nodes[0], count)}
        settings: list[gs.Tensor] = [same_constant(row) for row in rows[1:]]
        if nodes[0].op == "Split":
            axis = self._moved(nodes[0].attrs.get("axis", 0), nodes[0], count)
            return [*self._values(rows[:1], count), *settings], {**nodes[0].attrs, "axis": axis}
        if nodes[0].op == "Slice":
            axes = [self._moved(axis, nodes[0], count) for axis in axes_of(settings)]
            settings[2] = self._kept(nodes[0].outputs[0], np.array(axes, np.int64))
            return [*self._values(rows[:1], count), *settings], {}
        raise NotSharedError

    def _operand(self, row: Row, output: Row, count: int) -> gs.Tensor:
        """Join what an operator that works element by element reads."""
        constants = [constant.values for constant in map(constant_of, row) if constant is not None]
        if len(constants) == len(row):
            return self._kept(output[0], self._constant(constants, output, count))
        if constants or any(one.shape != other.shape for one, other in zip(row, output, strict=True)):
            raise NotSharedError
        return self._joined(row, count)

    def _constant(self, values: Sequence[Values], output: Row, count: int) -> Values:
        """Join constants, each made as large as what it is computed with; one number for all stays one number."""
        if all(value.size == 1 and value == values[0] and value.dtype == values[0].dtype for value in values):
            return values[0].reshape(())
        parts = [spread(value, tensor.shape, self.axis, count) for value, tensor in zip(values, output, strict=True)]
        if len({(part.shape[: self.axis], part.dtype) for part in parts}) > 1:
            raise NotSharedError
        return np.concatenate(parts, axis=self.axis)

    def _values(self, rows: Sequence[Row], count: int) -> list[gs.Tensor]:
        """Join what an operator reads that works along another axis."""
        for row in rows:
            self._flat(row, count)
        return [self._joined(row, count) for row in rows]

    def _moved(self, axis: int, node: gs.Node, count: int) -> int:
        """Tell where an axis that ``node`` works along is after the flattening; it must not be among the flattened."""
        axis %= len(node.outputs[0].shape)
        if self.axis <= axis < self.axis + count:
            raise NotSharedError
        return axis if axis < self.axis else axis - count + 1

    def _flat(self, row: Row, count: int) -> list[Dims]:
        """Give the shapes after the flattening, where they are known and a Concat could join them."""
        shapes = [flattened(tensor.shape, self.axis, count) for tensor in row]
        if len({(*dims[: self.axis], "joined", *dims[self.axis + 1 :]) for dims in shapes}) > 1:
            raise NotSharedError
        return shapes

    def _concat(self, row: Row, count: int) -> gs.Variable:
        shapes = self._flat(row, count)
        parts = [self._reshaped(*each) for each in zip(row, shapes, strict=True)] if count > 1 else list(row)
        output = self._variable(row[0], shapes)
        self.graph.nodes.append(gs.Node("Concat", output.name, {"axis": self.axis}, parts, [output]))
        return output

    def _reshaped(self, tensor: gs.Tensor, dims: Dims) -> gs.Variable:
        """Flatten; an open axis is copied, for which ONNX writes 0."""
        output = self._variable(tensor, [dims])
        shape = self._kept(output, np.array([0 if isinstance(dim, str) else dim for dim in dims], np.int64))
        self.graph.nodes.append(gs.Node("Reshape", output.name, {}, [tensor, shape], [output]))
        return output

    def _variable(self, like: gs.Tensor, shapes: Sequence[Dims]) -> gs.Variable:
        dims = [*shapes[0]]
        dims[self.axis] = sum(int(each[self.axis]) for each in shapes)
        return gs.Variable(free_name(f"{like.name}_joined", self.names), dtype=like.dtype, shape=dims)

    def _kept(self, like: gs.Tensor, values: Values) -> gs.Constant:
        return gs.Constant(free_name(f"{like.name}_constant", self.names), values)


def _key(row: Row, count: int) -> tuple[int, ...]:
    return (count, *map(id, row))
