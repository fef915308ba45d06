"""Free a graph from the batch and the picture size that an exporter baked into it."""

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from polyyolo.passes.surgery import constant_of, free_name, names_of

HW = tuple[int, int]

STRIDES = (4, 8, 16, 32, 64, 128)
ELEMENTWISE = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Where", "Max", "Min"})


def free_batch(graph: gs.Graph, batch: int) -> None:
    """Make every node work for any batch; shapes must have been inferred for ``batch``.

    1. A Reshape from (batch, ...) to (batch, ...) copies the first axis from its input (0 in its shape).
    2. An Expand from (batch, ...) to (batch, ...) leaves the first axis alone (1 in its shape).
    3. A Resize to a size becomes a Resize by factors.
    4. A constant that Concat joins with what is computed, as YOLOv6's objectness of 1, is repeated for each picture.
    """
    names = names_of(graph)
    for node in list(graph.nodes):
        if node.op == "Reshape" and not node.attrs.get("allowzero"):
            _replace_first(node, batch, 0, names)
        elif node.op == "Expand":
            _replace_first(node, batch, 1, names)
        elif node.op == "Concat":
            _repeat_constants(graph, node, batch, names)
    scale_resizes(graph)


def scale_resizes(graph: gs.Graph) -> None:
    """Turn each Resize to a constant size into one by factors, which holds for every batch and size."""
    names = names_of(graph)
    for node in graph.nodes:
        if node.op == "Resize" and len(node.inputs) == 4 and _known(node.inputs[0]):
            sizes = constant_of(node.inputs[3])
            if sizes is not None and node.attrs.get("keep_aspect_ratio_policy", "stretch") == "stretch":
                shape = np.array(node.inputs[0].shape)[list(node.attrs.get("axes", range(len(node.inputs[0].shape))))]
                name = free_name(f"{node.outputs[0].name}_scales", names)
                factors = gs.Constant(name, (sizes.values / shape).astype(np.float32))
                node.inputs = [node.inputs[0], node.inputs[1], factors]


def free_size(graph: gs.Graph, old: HW, new: HW | None) -> None:
    """Make every Reshape work for pictures of ``new`` size, or of any size without it.

    1. One that keeps the last two axes, height and width of a map, keeps those of its input.
    2. One that flattens a map takes what is left for the number of cells (-1 in its shape).
    3. One that makes a map again gets the new height and width; for any size that cannot be written down.
    """
    names = names_of(graph)
    for node in list(graph.nodes):
        target = constant_of(node.inputs[1]) if node.op == "Reshape" else None
        if target is None or node.attrs.get("allowzero") or not _known(node.inputs[0]):
            continue
        dims = [int(dim) for dim in target.values]
        if _is_map(dims, old) and list(node.inputs[0].shape[-2:]) == dims[-2:]:
            _keep_map(graph, node, dims, names)
        elif _is_map(dims, old) and new is not None:
            _set_shape(node, [*dims[:-2], *_scaled(dims, old, new)], names)
        elif -1 not in dims and sum(dim in _cells(old) for dim in dims[1:]) == 1:
            _set_shape(node, [dims[0], *(-1 if dim in _cells(old) else dim for dim in dims[1:])], names)


def baked_grid(graph: gs.Graph) -> str:
    """Name a node that computes with a constant that has a number for each cell; empty where there is none.

    A constant may differ from channel to channel of a map (axis 1 of 4). Any other axis counts cells, so the constant
    is only right for the size it was made for, even where its shape fits another.
    """
    for node in graph.nodes:
        if node.op not in ELEMENTWISE:
            continue
        rank = max(
            (len(tensor.shape) for tensor in [*node.inputs, *node.outputs] if tensor.shape is not None), default=0
        )
        for tensor in node.inputs:
            constant = constant_of(tensor)
            if constant is not None and _varies_by_cell(constant.shape, rank):
                return str(node.name or node.outputs[0].name)
    return ""


def _varies_by_cell(shape: Sequence[int], rank: int) -> bool:
    axes = [axis + rank - len(shape) for axis, extent in enumerate(shape) if extent > 1]
    return any(not (rank == 4 and axis == 1) for axis in axes)


def _replace_first(node: gs.Node, batch: int, instead: int, names: set[str]) -> None:
    target, shape = constant_of(node.inputs[1]), node.inputs[0].shape
    if target is None or not shape or shape[0] != batch or target.values.size == 0 or target.values[0] != batch:
        return
    if node.op == "Expand" and len(shape) != target.values.size:
        return
    _set_shape(node, [instead, *(int(dim) for dim in target.values[1:])], names)


def _repeat_constants(graph: gs.Graph, node: gs.Node, batch: int, names: set[str]) -> None:
    """Expand the constants among a Concat's inputs, the same for each picture, to the batch of the first other one."""
    computed = next((tensor for tensor in node.inputs if constant_of(tensor) is None and tensor.shape), None)
    if computed is None or computed.shape[0] != batch or node.attrs["axis"] in (0, -len(computed.shape)):
        return
    for index, constant in enumerate(map(constant_of, node.inputs)):
        if constant is None or constant.shape[0] != batch or (constant.values != constant.values[:1]).any():
            continue
        name = free_name(f"{node.outputs[0].name}_{index}", names)
        pictures = _axes_of(graph, name, computed, slice(0, 1), names)
        others = gs.Constant(free_name(f"{name}_others", names), np.array([1] * (len(constant.shape) - 1), np.int64))
        shape = gs.Variable(free_name(f"{name}_shape", names), np.int64)
        repeated = gs.Variable(free_name(f"{name}_repeated", names), constant.dtype)
        one = gs.Constant(free_name(f"{name}_one", names), constant.values[:1])
        graph.nodes += [
            gs.Node("Concat", attrs={"axis": 0}, inputs=[pictures, others], outputs=[shape]),
            gs.Node("Expand", inputs=[one, shape], outputs=[repeated]),
        ]
        node.inputs[index] = repeated


def _set_shape(node: gs.Node, dims: Sequence[int], names: set[str]) -> None:
    node.inputs[1] = gs.Constant(free_name(f"{node.outputs[0].name}_shape", names), np.array(dims, dtype=np.int64))


def _keep_map(graph: gs.Graph, node: gs.Node, dims: Sequence[int], names: set[str]) -> None:
    """Have ``node`` take height and width from its input while the model runs."""
    name, rank = node.outputs[0].name, len(node.inputs[0].shape)
    sides = _axes_of(graph, name, node.inputs[0], slice(rank - 2, rank), names)
    shape = gs.Variable(free_name(f"{name}_shape", names), np.int64)
    first = 0 if dims[0] == node.inputs[0].shape[0] else dims[0]
    front = gs.Constant(free_name(f"{name}_front", names), np.array([first, *dims[1:-2]], np.int64))
    graph.nodes.append(gs.Node("Concat", attrs={"axis": 0}, inputs=[front, sides], outputs=[shape]))
    node.inputs[1] = shape


def _axes_of(graph: gs.Graph, name: str, tensor: gs.Tensor, axes: slice, names: set[str]) -> gs.Variable:
    """Ask for a part of the shape of ``tensor`` while the model runs; ``name`` begins those of what is new."""
    whole, part = (gs.Variable(free_name(f"{name}_{end}", names), np.int64) for end in ("whole", "part"))
    bounds = [
        gs.Constant(free_name(f"{name}_{end}", names), np.array([axis], np.int64))
        for end, axis in (("from", axes.start), ("to", axes.stop))
    ]
    graph.nodes += [
        gs.Node("Shape", inputs=[tensor], outputs=[whole]),
        gs.Node("Slice", inputs=[whole, *bounds], outputs=[part]),
    ]
    return part


def _is_map(dims: Sequence[int], size: HW) -> bool:
    return len(dims) > 3 and tuple(dims[-2:]) in {(size[0] // stride, size[1] // stride) for stride in STRIDES}


def _scaled(dims: Sequence[int], old: HW, new: HW) -> HW:
    stride = next(stride for stride in STRIDES if (old[0] // stride, old[1] // stride) == tuple(dims[-2:]))
    return new[0] // stride, new[1] // stride


def _cells(size: HW) -> set[int]:
    return {(size[0] // stride) * (size[1] // stride) for stride in STRIDES} - {0, 1}


def _known(tensor: gs.Tensor) -> bool:
    return tensor.shape is not None and all(isinstance(dim, int) and dim > 0 for dim in tensor.shape)
