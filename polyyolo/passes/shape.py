"""Give a model another batch or picture size, fixed or open, and prove that it still computes the same."""

from collections.abc import Mapping, Sequence

import onnx
import onnx_graphsurgeon as gs

from polyyolo.errors import ModelError
from polyyolo.passes import fold_constants
from polyyolo.passes.result import PassResult
from polyyolo.passes.shape_change import Change, Dims, Dynamic, change_of
from polyyolo.passes.shape_proof import prove
from polyyolo.passes.surgery import closed, opened
from polyyolo.passes.unbake import HW, baked_grid, free_batch, free_size, scale_resizes


def run(model: onnx.ModelProto, *, batch: int | Dynamic | None = None, size: HW | Dynamic | None = None) -> PassResult:
    """Set the batch, the picture size (height, width), or both; what is not given stays as it is.

    Reshape, Expand and Resize nodes that hold the old shape are rewritten. The outputs of a picture that both models
    can take stay the same, which is proven by running both in ONNX Runtime.

    Raises:
        InputError: neither is given, or a number that no model can have.
        ModelError: the model cannot be changed so: its decode, say, holds a grid for the old size.
    """
    change = change_of(model, batch, size)
    if change.before == change.after:
        return PassResult(model, changed=False, notes=(f"{change.name} is {change.after} already",))
    freed = _freed(model, change)
    try:
        declared = prove(model, freed, change)
    except ModelError as error:
        raise ModelError(f"{change.name} cannot go from {change}: {error.message}", fix=_advice(change)) from error
    return PassResult(_declare(freed, change, declared), changed=True, notes=(f"{change.name} went from {change}",))


def _freed(model: onnx.ModelProto, change: Change) -> onnx.ModelProto:
    """Rewrite the nodes that hold the old shape, and open the input; what the outputs declare is removed."""
    old_batch, _, *old_size = change.before
    folded = fold_constants.run(model).model if isinstance(old_batch, int) or change.frees_size else model
    graph = opened(onnx.shape_inference.infer_shapes(folded, data_prop=True))
    if change.frees_size:
        grid = baked_grid(graph)
        if grid:
            raise ModelError(f"{change.name} cannot go from {change}: {grid} holds a grid for it", fix=_advice(change))
        new = change.after[2:]
        free_size(graph, _pair(old_size), None if any(isinstance(side, str) for side in new) else _pair(new))
        scale_resizes(graph)
    if change.frees_batch and isinstance(old_batch, int):
        free_batch(graph, old_batch)
    for each in (graph, *graph.subgraphs(recursive=True)):
        for tensor in (output for node in each.nodes for output in node.outputs):
            _set(tensor, None)
    image = next(tensor for tensor in graph.inputs if tensor.name == change.name)
    image.shape = ["batch" if change.varies_batch else change.before[0], *change.after[1:]]
    return closed(graph, model)


def _pair(dims: Sequence[int | str]) -> HW:
    height, width = (int(dim) for dim in dims)
    return height, width


def _declare(model: onnx.ModelProto, change: Change, outputs: Mapping[str, Dims]) -> onnx.ModelProto:
    """Write the new shapes of input and outputs."""
    graph = opened(model)
    for tensor in graph.inputs:
        tensor.shape = list(change.after) if tensor.name == change.name else tensor.shape
    for tensor in graph.outputs:
        _set(tensor, list(outputs[tensor.name]))
    return closed(graph, model)


def _set(tensor: gs.Tensor, shape: list[int | str] | None) -> None:
    """Write the shape of a tensor that is computed; a constant's is that of its values."""
    if isinstance(tensor, gs.Variable):
        tensor.shape = shape


def _advice(change: Change) -> str:
    if change.frees_size:
        return "cut the decode first (polyyolo surgeon cut-decode), or export at that size, or with dynamic=True"
    return "export with that batch, or with dynamic=True"
