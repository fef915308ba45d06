"""Compute the decode of all maps at once: join the maps, and not what was computed from each."""

from collections.abc import Iterator

import onnx

from polyyolo.errors import ModelError
from polyyolo.models.heads import recognise
from polyyolo.models.metadata import metadata_of, with_metadata
from polyyolo.models.trail import trail_to
from polyyolo.passes import cut_decode, fold_constants
from polyyolo.passes.concat_lift import lift
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, opened
from polyyolo.records import HeadKind


def run(model: onnx.ModelProto) -> PassResult:
    """Do once for all maps what the decode does with each, in the same order: outputs keep their numbers.

    YOLOv5 decodes three maps by itself and joins the boxes. Each operator costs TensorRT a kernel, which takes
    microseconds however little it does. Constants are folded first, since the grids must be known. What is not sure to
    come out the same, or saves no operator, stays as it was; so does all that comes before the last convolutions.
    YOLOv5's anchors go into the metadata: afterwards the decode does not tell which map they belong to.

    Raises:
        ModelError: the model has no picture input, or several.
    """
    merged = folded = onnx.shape_inference.infer_shapes(fold_constants.run(model).model, data_prop=True)
    for name in _joined_by_concat(folded):
        merged = _merged_at(merged, name)
    if merged is folded:
        return PassResult(model, changed=False, notes=("no decodes of fixed size to merge",))
    before, after = len(model.graph.node), len(merged.graph.node)
    told = with_metadata(merged, {**metadata_of(model), **_anchors(folded)})
    return PassResult(told, changed=True, notes=(f"{before} nodes became {after}",))


def _joined_by_concat(model: onnx.ModelProto) -> Iterator[str]:
    """Name the tensors that a Concat behind the last convolutions makes, nearest to the head's output first."""
    for output in recognise(model).outputs:
        for node in trail_to(output, model.graph.node).between:
            if node.op_type == "Concat":
                yield node.output[0]


def _merged_at(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Lift the Concat that makes ``name``, if there still is one, that saves nodes and nothing is computed twice."""
    graph = opened(model)
    concat = next((node for node in graph.nodes if node.op == "Concat" and node.outputs[0].name == name), None)
    replaced = lift(graph, concat) if concat else frozenset()
    lifted = closed(graph, model) if replaced else model
    twice = replaced.intersection(tensor for node in lifted.graph.node for tensor in node.output)
    return lifted if len(lifted.graph.node) < len(model.graph.node) and not twice else model


def _anchors(model: onnx.ModelProto) -> dict[str, str]:
    """Give the metadata that cutting the decode would write; nothing where there are no anchors."""
    if recognise(model).kind is not HeadKind.V5:
        return {}
    try:
        metadata = metadata_of(cut_decode.run(model).model)
    except ModelError:  # a decode that cannot be cut now cannot be cut later, and nothing else needs the anchors
        return {}
    return {key: value for key, value in metadata.items() if key == "anchors"}
