"""Layers as an engine's inspector exports them, whatever release of TensorRT it was."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from attrs import frozen

from polyyolo.engine_layers.tensors import Tensor, read_tensor, type_in

INT8 = "INT8"
FLOATS = ("FP32", "FP16", "BF16")
IDLE = ("Constant", "NoOp")
"""Kinds of layers that take no time."""
PROFILE_NUMBER = re.compile(r" \[profile (\d+)\]$")
"""Ends the names of layers and tensors of an engine with several optimisation profiles; the first may go without."""
_NODE = re.compile(r"\[ONNX Layer: (.+?)\](?=[\x1e\x1f]|\[ONNX Layer: |$)")
_WORD = re.compile(r"[^\s,()+]+")
_WEIGHTED = re.compile(r"conv|gemm|fullyconnected|matrixmultiply|matmul", re.IGNORECASE)
_MOVES = {"REFORMAT": "type or layout", "CONCAT": "copy into a Concat", "QDQ": "quantize"}


class Role(str, Enum):
    """What a layer does to what flows through it."""

    COMPUTES = "computes"
    MOVES = "moves"
    IDLES = "idles"


@frozen
class Exported:
    """One layer with the tensors that link it to others.

    Attributes:
        kind: TensorRT's "LayerType".
        origin: why TensorRT put a Reformat there: "REFORMAT", "CONCAT", "QDQ"; else empty.
        nodes: of the ONNX that it was made from; where the export does not tell, the words of its name.
        weights: type of its weights, empty where it has none that the export tells of.
    """

    name: str
    kind: str
    origin: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    nodes: tuple[str, ...]
    weights: str = ""

    @property
    def precision(self) -> str:
        """The type of what comes out."""
        return self.outputs[0].type if self.outputs else ""

    @property
    def is_weighted(self) -> bool:
        """Whether it is a convolution or a matrix product."""
        return bool(self.weights or _WEIGHTED.search(self.kind))

    @property
    def is_int8(self) -> bool:
        """Whether it computes in INT8: by its weights, else by all that flows in."""
        types = {tensor.type for tensor in self.inputs}
        return self.weights == INT8 or (not self.weights and types == {INT8})

    @property
    def role(self) -> Role:
        """Constants and layers that only rename cost nothing; copies and conversions are the price of others."""
        if self.kind in IDLE or not self.outputs:
            return Role.IDLES
        return Role.MOVES if self.move else Role.COMPUTES

    @property
    def move(self) -> str:
        """What a layer that computes nothing is there for; empty for one that computes."""
        if self.kind == "Reformat":
            return _MOVES.get(self.origin, _MOVES["REFORMAT"])
        names = "QuantizeLinear", "DequantizeLinear"
        return "requantize" if self.kind == "Scale" and any(name in self.name for name in names) else ""


def read_layer(entry: Mapping[str, Any]) -> Exported:
    """Read one layer of a detailed export."""
    name, metadata = str(entry.get("Name", "")), str(entry.get("Metadata", ""))
    weights = entry.get("Weights")
    return Exported(
        name=name,
        kind=str(entry.get("LayerType", "")),
        origin=str(entry.get("Origin", "")),
        inputs=_tensors(entry.get("Inputs")),
        outputs=_tensors(entry.get("Outputs")),
        nodes=tuple(_NODE.findall(metadata)) or _words(name),
        weights=type_in(str(weights.get("Type"))) if isinstance(weights, Mapping) and weights.get("Count") else "",
    )


def _tensors(entries: object) -> tuple[Tensor, ...]:
    return (
        tuple(read_tensor(entry) for entry in entries if isinstance(entry, Mapping))
        if isinstance(entries, list)
        else ()
    )


def _words(name: str) -> tuple[str, ...]:
    return tuple(word for word in _WORD.findall(PROFILE_NUMBER.sub("", name)) if word != "PWN")
