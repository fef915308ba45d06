"""Decode YOLOv5's maps as the convolutions write them, and turn them into rows once, at the very end."""

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.models.heads import recognise
from polyyolo.passes.concat_lift import ELEMENTWISE
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, constant_of, free_name, joins, names_of, opened, values_of
from polyyolo.records import HeadKind

ROWS, VALUES = 1, 2
"""Axes of what the decode makes: (N, rows, values of a row)."""
TURNS = ([0, 1, 3, 2], [0, 1, 3, 4, 2])
"""How a map of (N, anchors, values, cells) or (N, anchors, values, height, width) becomes rows."""
DIMS = 3


class NotTurnedError(Exception):
    """The decode is not one that can be turned at its end; the message says why."""


@frozen
class Map:
    """What one convolution of the head gives, until it is joined with the others.

    Attributes:
        conv: (N, anchors * values, height, width).
        rows: (N, anchors * height * width, values), what the Concat reads.
        anchors: of a cell.
    """

    conv: gs.Node
    rows: gs.Variable
    anchors: int


def run(model: onnx.ModelProto) -> PassResult:
    """Let a merged decode of YOLOv5 work on (N, values, rows), and turn that to (N, rows, values) at its end.

    TensorRT joins tensors without a copy only where each lies in one piece in what they are joined to. Scores do not
    where each row holds a box and its scores, and 8.6.0 copied them, far below the memory's speed. The output channels
    of the head's convolutions change places, so that no map has to be turned before. The sigmoid is taken of each part
    behind the Split, not of all before it, which saves another pass over the scores. Numbers stay the same.
    """
    head = recognise(model)
    if head.kind is not HeadKind.V5:
        return PassResult(model, changed=False, notes=("no decode of YOLOv5 to turn at its end",))
    graph = opened(onnx.shape_inference.infer_shapes(model, data_prop=True))
    try:
        output = next(tensor for tensor in graph.outputs if tensor.name == head.outputs[0])
        joined = _joined(output)
        maps = [_map_of(tensor, graph) for tensor in joined.inputs]
        behind = list(_behind(joined, output, graph))
    except NotTurnedError as reason:
        return PassResult(model, changed=False, notes=(f"the decode is left as it is: {reason}",))
    _turn(graph, joined, maps, behind, output)
    return PassResult(closed(graph, model), changed=True, notes=("rows are turned once, behind the decode",))


def is_late(conv: gs.Node) -> bool:
    """Whether the output channels of a head's convolution are in the order that this pass gives them."""
    readers = conv.outputs[0].outputs
    wanted = constant_of(readers[0].inputs[1]) if len(readers) == 1 and readers[0].op == "Reshape" else None
    weight = constant_of(conv.inputs[1])
    if wanted is None or weight is None:
        return False
    return wanted.values.size == DIMS and wanted.values[ROWS] not in (weight.values.shape[0], -1)


def _joined(output: gs.Variable) -> gs.Node:
    """Find the Concat that joins the maps' rows."""
    waiting, seen = [output], {id(output)}
    while waiting:
        node = next(iter(waiting.pop().inputs), None)
        if node is None or len(node.outputs[0].shape or ()) != DIMS:
            continue
        if joins(node, ROWS, DIMS):
            return node
        waiting += [tensor for tensor in node.inputs if id(tensor) not in seen]
        seen.update(map(id, node.inputs))
    raise NotTurnedError("no maps are joined before it")


def _map_of(rows: gs.Variable, graph: gs.Graph) -> Map:
    """Follow the rows of a map back to its convolution.

    Raises:
        NotTurnedError: they are not turned as YOLOv5 turns them, or something else reads what is between.
    """
    chain = []
    outputs = {id(tensor) for tensor in graph.outputs}
    tensor = rows
    for op in ("Reshape", "Transpose", "Reshape", "Conv"):
        node = tensor.inputs[0] if tensor.inputs else None
        if node is None or node.op != op or len(tensor.outputs) != 1 or id(tensor) in outputs:
            raise NotTurnedError(f"{tensor.name} is not a map that becomes rows, or more than one reads it")
        chain.append(node)
        tensor = node.inputs[0]
    flat, turn, apart, conv = chain
    dims, made = apart.outputs[0].shape, rows.shape
    if any(shape is None or not all(isinstance(dim, int) for dim in shape[1:]) for shape in (dims, made)):
        raise NotTurnedError(f"the size of {flat.outputs[0].name} is open")
    values = made[VALUES]
    channels = [constant_of(tensor) for tensor in conv.inputs[1:]]
    whole = all(each is not None and len(each.values) == dims[1] * values for each in channels)
    if turn.attrs.get("perm") not in TURNS or dims[2] != values or not whole or conv.attrs.get("group", 1) != 1:
        raise NotTurnedError(f"{flat.outputs[0].name} does not hold an anchor after the other")
    return Map(conv, rows, dims[1])


def _behind(joined: gs.Node, output: gs.Variable, graph: gs.Graph) -> Iterator[gs.Node]:
    """Yield the nodes between the joined maps and the output.

    Raises:
        NotTurnedError: one works on whole rows, or what it makes is an output too.
    """
    others = {id(tensor) for tensor in graph.outputs} - {id(output)}
    waiting, seen = [joined.outputs[0]], set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in others:
            raise NotTurnedError(f"{tensor.name} comes out of the model as well")
        for node in tensor.outputs:
            if id(node) in seen:
                continue
            seen.add(id(node))
            _refuse_foreign(node)
            yield node
            waiting += [tensor for tensor in node.outputs if tensor is not output]
    if not output.inputs or id(output.inputs[0]) not in seen or output.outputs:
        raise NotTurnedError(f"{output.name} is not all that comes of it")


def _refuse_foreign(node: gs.Node) -> None:
    name = f"{node.op} {node.outputs[0].name}"
    if any(len(tensor.shape or ()) != DIMS for tensor in node.outputs):
        raise NotTurnedError(f"{name} makes something else than rows")
    if node.op in ("Split", "Concat"):
        if node.attrs.get("axis", 0) not in (VALUES, VALUES - DIMS):
            raise NotTurnedError(f"{name} works on rows")
    elif node.op == "Slice":
        axes = constant_of(node.inputs[3]) if len(node.inputs) > 3 else None
        if axes is None or axes.values.tolist() not in ([VALUES], [VALUES - DIMS]):
            raise NotTurnedError(f"{name} works on rows")
    elif node.op not in ELEMENTWISE:
        raise NotTurnedError(f"it has a {name}")


def _turn(graph: gs.Graph, joined: gs.Node, maps: list[Map], behind: list[gs.Node], output: gs.Variable) -> None:
    names = names_of(graph)
    joined.inputs = [_by_values(graph, each, names) for each in maps]
    joined.attrs["axis"] = VALUES
    for node in (joined, *behind):
        for tensor in node.outputs:
            if tensor is not output:
                tensor.shape = _swapped(tensor.shape)
    for node in behind:
        _work_by_values(node, names)
    turned = gs.Variable(free_name(f"{output.name}_by_values", names), output.dtype, _swapped(output.shape))
    output.inputs[0].outputs = [turned]
    graph.nodes.append(gs.Node("Transpose", turned.name, {"perm": [0, VALUES, ROWS]}, [turned], [output]))
    for node in [node for node in behind if node.op == "Sigmoid"]:
        _take_behind_parts(graph, node, names)


def _by_values(graph: gs.Graph, each: Map, names: set[str]) -> gs.Variable:
    """Let a convolution write value after value, each of all anchors, and give its map as (N, values, rows)."""
    count, values = each.rows.shape[ROWS], each.rows.shape[VALUES]
    order = np.arange(each.anchors * values).reshape(each.anchors, values).T.ravel()
    for place, tensor in enumerate(each.conv.inputs[1:], 1):
        each.conv.inputs[place] = gs.Constant(free_name(f"{tensor.name}_by_values", names), values_of(tensor)[order])
    made = each.conv.outputs[0]
    name = free_name(f"{made.name}_by_values", names)
    flat = gs.Variable(name, made.dtype, [each.rows.shape[0], values, count])
    shape = gs.Constant(free_name(f"{name}_shape", names), np.array([0, values, count]))
    graph.nodes.append(gs.Node("Reshape", name, inputs=[made, shape], outputs=[flat]))
    return flat


def _work_by_values(node: gs.Node, names: set[str]) -> None:
    """Let a node behind the joined maps do with (N, values, rows) what it did with (N, rows, values)."""
    if node.op in ("Split", "Concat"):
        node.attrs["axis"] = ROWS
    elif node.op == "Slice":
        node.inputs[3] = gs.Constant(free_name(f"{node.outputs[0].name}_axes", names), np.array([ROWS]))
    else:
        for place, tensor in enumerate(node.inputs):
            held = constant_of(tensor)
            if held is not None and held.values.size > 1:
                values = held.values.reshape((1,) * (DIMS - held.values.ndim) + held.values.shape)
                turned = np.ascontiguousarray(values.transpose(0, VALUES, ROWS))
                node.inputs[place] = gs.Constant(free_name(f"{tensor.name}_by_values", names), turned)


def _take_behind_parts(graph: gs.Graph, sigmoid: gs.Node, names: set[str]) -> None:
    """Take the sigmoid of each part instead of parts of the sigmoid; nothing where something reads it whole."""
    source, made = sigmoid.inputs[0], sigmoid.outputs[0]
    if any(node.op not in ("Split", "Slice") for node in made.outputs):
        return
    for node in list(made.outputs):
        node.inputs[0] = source
        for place, part in enumerate(list(node.outputs)):
            raw = gs.Variable(free_name(f"{part.name}_raw", names), part.dtype, part.shape)
            node.outputs[place] = raw
            graph.nodes.append(gs.Node("Sigmoid", free_name(f"{part.name}_sigmoid", names), {}, [raw], [part]))


def _swapped(shape: list[int | str] | None) -> list[int | str] | None:
    return [shape[0], shape[VALUES], shape[ROWS]] if shape else shape
