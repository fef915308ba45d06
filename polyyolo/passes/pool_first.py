"""A MaxPool of what a Concat joins becomes one in front of the Concat for each of its inputs."""

from collections.abc import Iterator

import onnx
import onnx_graphsurgeon as gs

from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, free_name, opened

CHANNELS = 1
"""The axis that is joined; a MaxPool looks at each of its channels alone."""


def run(model: onnx.ModelProto) -> PassResult:
    """Pool before joining, where nothing but a MaxPool reads what a Concat joins along its channels.

    TensorRT copies a tensor into a Concat that something else reads as well, as in YOLOv4-tiny; a MaxPool of 2 x 2
    leaves a quarter of it, and writes that where it is joined. No number changes.
    """
    graph = opened(model)
    names = set(graph.tensors())
    found = list(_pooled(graph))
    for joined, pool in found:
        _pool_first(graph, joined, pool, names)
    if not found:
        return PassResult(model, changed=False, notes=("no MaxPool behind a Concat of its own",))
    return PassResult(closed(graph, model), changed=True, notes=(f"{len(found)} MaxPools come before a Concat",))


def _pooled(graph: gs.Graph) -> Iterator[tuple[gs.Node, gs.Node]]:
    """Yield each Concat of maps with the MaxPool that alone reads it."""
    outputs = {id(tensor) for tensor in graph.outputs}
    for node in graph.nodes:
        if node.op != "Concat" or len(node.inputs) < 2 or id(node.outputs[0]) in outputs:
            continue
        readers, dims = node.outputs[0].outputs, node.outputs[0].shape
        on_channels = node.attrs["axis"] == CHANNELS or (
            dims is not None and node.attrs["axis"] == CHANNELS - len(dims)
        )
        if on_channels and len(readers) == 1 and readers[0].op == "MaxPool" and len(readers[0].outputs) == 1:
            yield node, readers[0]


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
