"""FP16 QuantizeLinear for an ONNX Runtime that cuts fractions off where ONNX rounds to the nearest.

Up to 1.29 its kernel for the CPU does that with FP16, and with nothing else (pull request 32452 of
microsoft/onnxruntime): half of all levels come out one too small, which cost YOLOv5s 27 points of mAP. 1.30 rounds,
and Python 3.10 ends with 1.23.2. In FP32 every release rounds.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnx

from polyyolo.models.reading import graphs_of, load, opset_of, parse

HALF_SCALES = 19
"""From this operator set on, QuantizeLinear and DequantizeLinear take FP16."""
PROBE = """<ir_version: 9, opset_import: ["" : 19]> probe (float16[1] x, float16[1] scale) => (uint8[1] level) {
    level = QuantizeLinear(x, scale)
}"""


@cache
def truncates() -> bool:
    """Ask the ONNX Runtime that is here what 0.75 of a scale is: 1, or 0."""
    import onnxruntime  # not before polyyolo.models.runtime has silenced its telemetry

    session = onnxruntime.InferenceSession(
        onnx.parser.parse_model(PROBE).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (level,) = session.run(None, {"x": np.array([0.75], np.float16), "scale": np.ones(1, np.float16)})
    return int(level[0]) == 0


def rounding(model: Path | bytes) -> Path | bytes:
    """Give a model that rounds in the ONNX Runtime that is here: itself, or one that quantizes from FP32.

    Args:
        model: a file, or a serialized model.

    Raises:
        ModelError: a file that has to be read is no usable ONNX.
    """
    if not truncates():
        return model
    parsed = parse(model) if isinstance(model, Path) else onnx.load_model_from_string(model)
    if opset_of(parsed) < HALF_SCALES:
        return model
    return _from_single(load(model) if isinstance(model, Path) else parsed)


def _from_single(model: onnx.ModelProto) -> bytes:
    """Cast what QuantizeLinear reads to FP32: exact, and nothing where it is FP32 already."""
    for graph in graphs_of(model.graph):
        nodes = [each for node in graph.node for each in _cast(node)]
        del graph.node[:]
        graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _cast(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    if node.op_type == "QuantizeLinear":
        for index, name in enumerate(node.input[:2]):
            node.input[index] = f"{node.output[0]}_from_{index}"
            yield onnx.helper.make_node("Cast", [name], [node.input[index]], to=onnx.TensorProto.FLOAT)
    yield node
