"""Put Relu in the place of LeakyRelu, which fuses better in INT8."""

import onnx

from polyyolo.models.heads import recognise
from polyyolo.models.metadata import entries_for, metadata_of, with_metadata
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, opened
from polyyolo.records import HeadKind


def run(model: onnx.ModelProto) -> PassResult:
    """For any node ``y = LeakyRelu(x)``, write ``y = Relu(x)``.

    The numbers change: weights trained with LeakyRelu lose accuracy until they are fine-tuned. The head is written
    into the metadata first, since LeakyRelu is one of the signs by which darknet's head is recognised.

    Raises:
        ModelError: the model has no picture input, or several.
    """
    graph = opened(model)
    leaky = [node for node in graph.nodes if node.op == "LeakyRelu"]
    if not leaky:
        return PassResult(model, changed=False, notes=("there is no LeakyRelu",))
    for node in leaky:
        node.op = "Relu"
        node.attrs.clear()
    head = recognise(model)
    entries = {} if head.kind is HeadKind.NONE else entries_for(head)
    relu = with_metadata(closed(graph, model), {**metadata_of(model), **entries})
    return PassResult(relu, changed=True, notes=(f"{len(leaky)} LeakyRelu became Relu",))
