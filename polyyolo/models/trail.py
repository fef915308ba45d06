"""What lies between a model's last convolutions and an output: the decode, if there is one."""

from collections.abc import Iterable, Iterator, Mapping

import onnx
from attrs import frozen

from polyyolo.models.nms_plugin import NMS_PLUGIN

Producers = Mapping[str, onnx.NodeProto]

ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Exp"})
SELECTION = frozenset({"TopK", "NonMaxSuppression", NMS_PLUGIN})


@frozen
class Trail:
    """The nodes that lead to one output, and where they start.

    Attributes:
        between: from the last convolutions, which are not among them, to the output; nearest to the output first.
        convs: those convolutions, in the order of the graph.
    """

    between: tuple[onnx.NodeProto, ...]
    convs: tuple[onnx.NodeProto, ...]

    @property
    def ops(self) -> frozenset[str]:
        """The operators between."""
        return frozenset(node.op_type for node in self.between)

    @property
    def decodes(self) -> bool:
        """Whether numbers are computed after the last convolutions, beyond moving them about and sigmoid."""
        return bool(self.ops & ARITHMETIC)

    @property
    def selects(self) -> bool:
        """Whether boxes are chosen inside the model."""
        return bool(self.ops & SELECTION)


def producers_of(nodes: Iterable[onnx.NodeProto]) -> Producers:
    """Map each tensor to the node that it comes from."""
    return {output: node for node in nodes for output in node.output if output}


def trail_to(output: str, nodes: Iterable[onnx.NodeProto]) -> Trail:
    """Walk back from ``output`` to the last convolutions.

    Shapes are not followed, since they say nothing of values; the convolution after a Softmax is YOLOv8's sum over its
    box distribution, so it belongs to the decode.
    """
    nodes = tuple(nodes)
    producers = producers_of(nodes)
    between: list[onnx.NodeProto] = []
    convs: set[str] = set()
    for node in _back_from(output, producers):
        if _ends(node, producers):
            convs.add(node.output[0])
        else:
            between.append(node)
    ordered = tuple(node for node in nodes if node.output and node.output[0] in convs)
    return Trail(between=tuple(between), convs=ordered)


def _back_from(output: str, producers: Producers) -> Iterator[onnx.NodeProto]:
    """Yield each node that leads to ``output`` once, not going past the last convolutions."""
    waiting, seen = [output], {output}
    while waiting:
        node = producers.get(waiting.pop(0))
        if node is None or node.op_type == "Shape":
            continue
        yield node
        fresh = [] if _ends(node, producers) else [name for name in node.input if name not in seen]
        seen.update(fresh, node.output)
        waiting.extend(dict.fromkeys(fresh))


def _ends(node: onnx.NodeProto, producers: Producers) -> bool:
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm"):
        return False
    before = producers.get(node.input[0])
    while before is not None and before.op_type in (
        "QuantizeLinear",
        "DequantizeLinear",
        "Cast",
        "Transpose",
        "Reshape",
    ):
        before = producers.get(before.input[0])
    return before is None or before.op_type != "Softmax"
