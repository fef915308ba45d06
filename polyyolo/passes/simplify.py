"""Fold, fuse and drop what a graph does not need, with onnxslim."""

from collections import Counter

import onnx

from polyyolo.errors import ModelError
from polyyolo.passes.result import PassResult


def run(model: onnx.ModelProto) -> PassResult:
    """Simplify; outputs keep their numbers, inputs and outputs their names and shapes.

    Raises:
        ModelError: onnxslim cannot work with this model.
    """
    import onnxslim

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    try:
        slim = onnxslim.slim(copy)
    except Exception as error:  # onnxslim raises whatever its optimisers ran into
        raise ModelError(
            f"onnxslim cannot simplify this model: {error}", fix="use fold-constants instead, or leave simplify out"
        ) from error
    before, after = len(model.graph.node), len(slim.graph.node)
    changed = Counter(_ops(model)) != Counter(_ops(slim))
    return PassResult(slim if changed else model, changed, notes=(f"{before} nodes became {after}",))


def _ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]
