"""A MaxPool of what a Concat joins becomes one in front of the Concat for each of its inputs."""

from collections.abc import Iterator

import onnx
import onnx_graphsurgeon as gs

from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, free_name, is_a, joins, names_of, opened

CHANNELS = 1
"""The axis that is joined; a MaxPool looks at each of its channels alone."""


def run(model: onnx.ModelProto) -> PassResult:
    """Pool before joining, where nothing but a MaxPool reads what a Concat joins along its channels.

    TensorRT copies a tensor into a Concat that something else reads as well, as in YOLOv4-tiny; a MaxPool of 2 x 2
    leaves a quarter of it, and writes that where it is joined. Where nothing is copied, nothing changes. No number
    changes.
    """
    graph = opened(onnx.shape_inference.infer_shapes(model))
    names = names_of(graph)
    found = list(_pooled(graph))
    for joined, pool in found:
        _pool_first(graph, joined, pool, names)
    if not found:
        return PassResult(model, changed=False, notes=("no MaxPool behind a Concat of its own",))
    return PassResult(closed(graph, model), changed=True, notes=(f"MaxPools before a Concat now: {len(found)}",))


def _pooled(graph: gs.Graph) -> Iterator[tuple[gs.Node, gs.Node]]:
    """Yield each Concat of maps with the MaxPool that alone reads it, in the same graph."""
    outputs = {id(tensor) for tensor in graph.outputs}
    nodes = {id(node) for node in graph.nodes}
    for node in graph.nodes:
        joined = node.outputs[0]
        known = joined.shape is not None and len(joined.shape) > CHANNELS
        copied = any(len(tensor.outputs) > 1 for tensor in node.inputs)
        if not known or not joins(node, CHANNELS, len(joined.shape)) or not copied:
            continue
        pool = joined.outputs[0] if len(joined.outputs) == 1 and id(joined) not in outputs else None
        if pool is not None and is_a(pool, "MaxPool") and len(pool.outputs) == 1 and id(pool) in nodes:
            yield node, pool


def _pool_first(graph: gs.Graph, joined: gs.Node, pool: gs.Node, names: set[str]) -> None:
    made = pool.outputs[0]
    pooled = []
    for tensor in joined.inputs:
        dims = tensor.shape and made.shape and [*tensor.shape[:2], *made.shape[2:]]
        name = free_name(f"{tensor.name}_pooled", names)
        pooled.append(gs.Variable(name, made.dtype, dims))
        graph.nodes.append(gs.Node("MaxPool", name, dict(pool.attrs), [tensor], [pooled[-1]]))
    pool.outputs.clear()
    joined.inputs, joined.outputs = pooled, [made]
