"""What a graph does, told by structure alone: which nodes carry weights, which are the head, which only move values."""

from collections.abc import Iterable, Sequence

import onnx_graphsurgeon as gs
from attrs import frozen

WEIGHTED = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
# These hand on the values they get, so that input and output can share one INT8 scale and the node runs in INT8.
CARRIERS = frozenset(
    {
        "Concat",
        "MaxPool",
        "Resize",
        "Upsample",
        "Slice",
        "Split",
        "Transpose",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
    }
)
KEEPERS = CARRIERS - {"MaxPool", "Resize", "Upsample", "Slice", "Split"}
"""Those that hand on each value that they read."""
GATES = frozenset({"Sigmoid", "HardSigmoid", "Tanh", "Softplus"})
ACTIVATIONS = GATES | {
    "BatchNormalization",
    "Clip",
    "Elu",
    "Gelu",
    "HardSwish",
    "LeakyRelu",
    "Mish",
    "PRelu",
    "Relu",
    "Selu",
    "Swish",
    "ThresholdedRelu",
}
QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear"})
REWRITING = QUANTIZING | {"Cast", "Identity"}
BOX_BY_BOX = (4, 4)
"""Shape of a matrix that makes four numbers of a box's four."""
_RESHAPERS = frozenset(
    {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "Identity", "Cast"}
)


@frozen
class Residual:
    """An Add of a tensor that others read too and of what an activation function made of a weighted node's output.

    Attributes:
        skip: name of the first.
        branch: name of the second.
        weighted: identity of the node.
    """

    skip: str
    branch: str
    weighted: str


def activations(node: gs.Node) -> list[gs.Variable]:
    """Give the inputs that are computed, in order: neither constants nor left out."""
    return [tensor for tensor in node.inputs if isinstance(tensor, gs.Variable) and not tensor.is_empty()]


def carried(node: gs.Node) -> list[gs.Variable]:
    """Give the inputs whose values a carrier hands on: all of a Concat's, else the first; shapes and sizes are none."""
    found = activations(node)
    return found if node.op == "Concat" else [tensor for tensor in found[:1] if tensor is node.inputs[0]]


def identity(node: gs.Node) -> str:
    """Name a node for good: its first output is unique in any valid graph, its own name need not be."""
    return str(node.outputs[0].name)


def is_weighted(node: gs.Node) -> bool:
    """Whether the node multiplies one activation with constant weights."""
    factors = [_constant_behind(tensor) for tensor in node.inputs[:2]] if node.op in WEIGHTED else []
    return sum(factor is not None for factor in factors) == 1


def weight_of(node: gs.Node) -> gs.Constant | None:
    """Give the constant that a node multiplies with, behind Q/DQ or not; None where both factors are computed."""
    return next((constant for constant in map(_constant_behind, node.inputs[:2]) if constant is not None), None)


def data_of(node: gs.Node) -> gs.Variable:
    """Give the activation that a weighted node multiplies with its weights."""
    found: gs.Variable = next(tensor for tensor in node.inputs[:2] if _constant_behind(tensor) is None)
    return found


def reads_input(node: gs.Node) -> bool:
    """Whether a weighted node reads an input of the model, the picture: nothing computes what it multiplies."""
    return not origin(data_of(node)).inputs


def is_conv_on_picture(node: gs.Node) -> bool:
    """Whether a node is a convolution that reads the picture."""
    return node.op == "Conv" and is_weighted(node) and reads_input(node)


def origin(tensor: gs.Tensor, through: frozenset[str] = REWRITING) -> gs.Tensor:
    """Follow a tensor back through nodes that write the same values, maybe in another type; itself where none is."""
    while tensor.inputs and tensor.inputs[0].op in through:
        tensor = tensor.inputs[0].inputs[0]
    return tensor


def _constant_behind(tensor: gs.Tensor) -> gs.Constant | None:
    found = origin(tensor)
    return found if isinstance(found, gs.Constant) else None


def is_decode(node: gs.Node) -> bool:
    """Whether a weighted node is part of the decode.

    YOLOv8's DFL convolution takes the mean of a Softmax, and YOLOv7's NMS multiplies centre and size with 4 x 4 numbers
    that make corners of them.
    """
    if not is_weighted(node):
        return False
    weight = weight_of(node)
    if node.op in ("MatMul", "Gemm") and weight is not None and tuple(weight.shape) == BOX_BY_BOX:
        return True
    made_by = producer(data_of(node))
    while made_by is not None and made_by.op in _RESHAPERS:
        made_by = producer(activations(made_by)[0]) if activations(made_by) else None
    return made_by is not None and made_by.op == "Softmax"


def head_convs(graph: gs.Graph) -> frozenset[str]:
    """Find the weighted nodes behind which no other follows on any way to an output: the head's output convolutions.

    Args:
        graph: sorted topologically.

    Returns:
        their identities.
    """
    followed: set[int] = set()  # ids of tensors from which a weighted node is reached
    heads = set()
    for node in reversed(graph.nodes):
        leads = any(id(output) in followed for output in node.outputs)
        inner = is_weighted(node) and not is_decode(node)
        if inner and not leads:
            heads.add(identity(node))
        if inner or leads:
            followed.update(id(tensor) for tensor in activations(node))
    return frozenset(heads)


def behind_head(graph: gs.Graph, heads: frozenset[str]) -> frozenset[str]:
    """Find the nodes that are computed from a head convolution's output: the decode."""
    reached: set[int] = set()
    found = set()
    for node in graph.nodes:
        if any(id(tensor) in reached for tensor in activations(node)):
            found.add(identity(node))
        if identity(node) in found or identity(node) in heads:
            reached.update(id(output) for output in node.outputs)
    return frozenset(found)


def residuals_of(graph: gs.Graph) -> tuple[Residual, ...]:
    """Find the Adds of a skip to what an activation function makes of a weighted node's output, for the Add alone."""
    found = []
    for node in graph.nodes:
        inputs = activations(node)
        if node.op != "Add" or len(inputs) != 2:
            continue
        for skip, branch in (inputs, inputs[::-1]):
            weighted = conv_behind(branch)
            alone = len(branch.outputs) == 1 < len(skip.outputs)
            if alone and weighted is not None and weighted is not producer(branch):
                found.append(Residual(str(skip.name), str(branch.name), identity(weighted)))
                break
    return tuple(found)


def held_by(names: Iterable[str], nodes: Sequence[gs.Node]) -> set[str]:
    """Name the tensors whose values all lie in some tensors: these themselves, and what is joined into them.

    Args:
        names: of those tensors.
        nodes: of a graph, sorted topologically.
    """
    found = set(names)
    for node in reversed(nodes):
        if node.op in KEEPERS and node.outputs[0].name in found:
            found |= {str(tensor.name) for tensor in carried(node)}
    return found


def conv_behind(tensor: gs.Tensor) -> gs.Node | None:
    """Give the weighted node behind a tensor, through its activation function if any; None where another made it."""
    node = producer(tensor)
    while node is not None and not is_weighted(node):
        value = gated(node)
        if value is None and node.op not in ACTIVATIONS:
            return None
        node = producer(value if value is not None else activations(node)[0])
    return node


def gated(node: gs.Node) -> gs.Tensor | None:
    """Give x where a node is the Mul of x * Sigmoid(x), or of another gate: SiLU, Mish, HardSwish."""
    factors = activations(node) if node.op == "Mul" else []
    if len(factors) != 2:
        return None
    for value, gate in (factors, factors[::-1]):
        tensor: gs.Tensor = gate
        while tensor.inputs and tensor.inputs[0].op in GATES:
            tensor = tensor.inputs[0].inputs[0]
        if tensor is value and tensor is not gate:
            return value
    return None


def sigmoid_of(node: gs.Node) -> gs.Tensor | None:
    """Give x where a node is the Mul of x and Sigmoid(x), which is SiLU; None where it is something else."""
    value = gated(node)
    gates = [producer(tensor) for tensor in node.inputs if tensor is not value]
    plain = all(gate is not None and gate.op == "Sigmoid" and gate.inputs[0] is value for gate in gates)
    return value if plain else None


def from_image(graph: gs.Graph, image: str) -> frozenset[str]:
    """Find the nodes whose values, not only shapes, are computed from the image input."""
    reached = {image}
    found = set()
    for node in graph.nodes:
        if node.op not in {"Shape", "Size"} and any(tensor.name in reached for tensor in activations(node)):
            found.add(identity(node))
            reached.update(output.name for output in node.outputs)
    return frozenset(found)


def producer(tensor: gs.Tensor) -> gs.Node | None:
    """Give the node that makes a tensor; None for inputs and constants."""
    return tensor.inputs[0] if tensor.inputs else None
