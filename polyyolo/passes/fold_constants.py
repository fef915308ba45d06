"""Compute what does not depend on the picture once, here."""

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, free_name, names_of, opened

# Q/DQ of weights must stay: TensorRT reads the INT8 scales from them. Random numbers are no constants.
KEPT = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"}
)


def run(model: onnx.ModelProto) -> PassResult:
    """Fold every node whose inputs are constants, and shapes that are known. Outputs keep their numbers."""
    graph = opened(onnx.shape_inference.infer_shapes(model, data_prop=True))
    before = len(graph.nodes)
    _slice_shapes(graph)
    graph.toposort().fold_constants(partitioning="recursive", should_exclude_node=_is_kept)
    folded = closed(graph, model)
    gone = before - len(folded.graph.node)
    return PassResult(folded if gone else model, changed=gone > 0, notes=(f"{before} nodes became {before - gone}",))


def _is_kept(node: gs.Node) -> bool:
    return node.op in KEPT


def _slice_shapes(graph: gs.Graph) -> None:
    """Write each Shape of some axes as one of all and a Slice: GraphSurgeon folds it as if it were of all."""
    names = names_of(graph)
    for node in [node for node in graph.nodes if node.op == "Shape" and node.attrs]:
        part, bounds = node.outputs[0], {"start": 0, "end": np.iinfo(np.int64).max, **node.attrs}
        limits = [
            gs.Constant(free_name(f"{part.name}_{side}", names), np.array([bounds[side]])) for side in ("start", "end")
        ]
        node.attrs.clear()
        node.outputs[0] = whole = gs.Variable(free_name(f"{part.name}_whole", names), np.int64)
        graph.nodes.append(gs.Node("Slice", free_name(f"{part.name}_slice", names), {}, [whole, *limits], [part]))
