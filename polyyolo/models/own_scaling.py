"""Whether a model scales pixels by itself: what it is fed with then are their levels, from 0 to 255."""

import math
from collections.abc import Iterator

import numpy as np
import onnx

from polyyolo.models.reading import constants_of

LEVELS_BELOW = 0.05
"""What a model multiplies pixels by, at most, where these go from 0 to 255: nothing could be told apart of 0 to 1."""
MOVES = frozenset({"Cast", "Identity", "Transpose", "Reshape"})
ARITHMETIC = frozenset({"Mul", "Div", "Add", "Sub"})


def scales_levels(model: onnx.ModelProto, image: str) -> bool:
    """Whether what reads the picture divides it by 255 or so, before anything else is computed.

    Args:
        model: complete, as ``load`` gives it.
        image: name of the input that takes pictures.
    """
    return 0 < math.prod(_factors(model, image)) < LEVELS_BELOW


def _factors(model: onnx.ModelProto, image: str) -> Iterator[float]:
    """Yield what a picture is multiplied by, over arithmetic with constants, while one node alone reads each tensor."""
    constants = {name: each for name, each in constants_of(model.graph).items() if _is_small(each)}
    tensor = image
    while True:
        readers = [node for node in model.graph.node if tensor in node.input]
        if len(readers) != 1:
            return
        (node,) = readers
        others = [constants[name] for name in node.input if name in constants]
        if node.op_type in ARITHMETIC and len(others) == 1 and (node.op_type != "Div" or node.input[0] == tensor):
            size = float(np.abs(onnx.numpy_helper.to_array(others[0])).max())
            if node.op_type in {"Mul", "Div"}:
                yield size if node.op_type == "Mul" else 1 / size if size else 1.0
        elif node.op_type not in MOVES:
            return
        tensor = node.output[0]


def _is_small(tensor: onnx.TensorProto) -> bool:
    """Whether it is one number, or one for each channel."""
    return 0 < math.prod(tensor.dims) <= 4 and tensor.data_type in {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
