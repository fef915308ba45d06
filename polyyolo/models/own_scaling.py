"""Whether a model scales pixels by itself: what it is fed with then are their levels, from 0 to 255."""

from collections.abc import Iterator

import numpy as np
import onnx

from polyyolo.models.probe import Array

LEVELS_BELOW = 0.05
"""What a model multiplies pixels by, at most, where these go from 0 to 255: nothing could be told apart of 0 to 1."""
MOVES = frozenset({"Cast", "Identity", "Transpose", "Reshape"})


def scales_levels(model: onnx.ModelProto, image: str) -> bool:
    """Whether what reads the picture divides it by 255 or so, before anything else is computed.

    Args:
        model: complete, as ``load`` gives it.
        image: name of the input that takes pictures.
    """
    factor = 1.0
    for node, constant in _way(model, image):
        if node.op_type in {"Mul", "Div"} and constant is not None:
            size = float(np.abs(constant).max())
            factor *= size if node.op_type == "Mul" else 1 / size if size else 1.0
    return 0 < factor < LEVELS_BELOW


def _way(model: onnx.ModelProto, image: str) -> Iterator[tuple[onnx.NodeProto, Array | None]]:
    """Walk from the picture over arithmetic with constants, as far as one node alone reads each tensor."""
    constants = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer if _is_small(tensor)
    }
    for node in model.graph.node:
        if node.op_type == "Constant":
            tensors = [each.t for each in node.attribute if each.name == "value" and _is_small(each.t)]
            constants |= {node.output[0]: onnx.numpy_helper.to_array(tensor) for tensor in tensors}  # noqa: B035 - one
    tensor = image
    while True:
        readers = [node for node in model.graph.node if tensor in node.input]
        if len(readers) != 1 or readers[0].op_type not in MOVES | {"Mul", "Div", "Add", "Sub"}:
            return
        (node,) = readers
        others = [constants.get(name) for name in node.input if name != tensor]
        is_first = node.input[0] == tensor
        if node.op_type not in MOVES and (
            len(others) != 1 or others[0] is None or (node.op_type == "Div" and not is_first)
        ):
            return
        yield node, others[0] if others else None
        tensor = node.output[0]


def _is_small(tensor: onnx.TensorProto) -> bool:
    """Whether it is one number, or one for each channel."""
    return 0 < int(np.prod(tensor.dims)) <= 4 and tensor.data_type in {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
