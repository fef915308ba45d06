"""Compute what does not depend on the picture once, here."""

import onnx
import onnx_graphsurgeon as gs

from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, opened

# Q/DQ of weights must stay: TensorRT reads the INT8 scales from them. Random numbers are no constants.
KEPT = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"}
)


def run(model: onnx.ModelProto) -> PassResult:
    """Fold every node whose inputs are constants, and shapes that are known. Outputs keep their numbers."""
    graph = opened(onnx.shape_inference.infer_shapes(model, data_prop=True))
    before = len(graph.nodes)
    graph.toposort().fold_constants(partitioning="recursive", should_exclude_node=_is_kept)
    folded = closed(graph, model)
    gone = before - len(folded.graph.node)
    return PassResult(folded if gone else model, changed=gone > 0, notes=(f"{before} nodes became {before - gone}",))


def _is_kept(node: gs.Node) -> bool:
    return node.op in KEPT
