"""Read what a model file is: its inputs, outputs, head, classes and strides."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from polyyolo.models.heads import recognise
from polyyolo.models.metadata import metadata_of, names_in
from polyyolo.models.reading import graphs_of, load, opset_of, sha256_of_model
from polyyolo.models.tensors import image_of, inputs_of, outputs_of
from polyyolo.records import HeadKind, ModelSpec

__all__ = ["load", "read_spec"]

QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear"})


def read_spec(path: Path, *, head: HeadKind | None = None, history: Sequence[str] = ()) -> ModelSpec:
    """Read the model at ``path``.

    Args:
        path: an ONNX file.
        head: the head family, where the user knows better than the structure tells.
        history: the passes that made this file, oldest first.

    Raises:
        ModelError: the file is no usable ONNX, has no picture input or several, or does not fit ``head``.
    """
    model = load(path)
    inputs = inputs_of(model)
    image = image_of(inputs)
    metadata = metadata_of(model)
    found = recognise(model, head=head)
    return ModelSpec(
        path=path,
        sha256=sha256_of_model(path),
        opset=opset_of(model),
        inputs=inputs,
        outputs=outputs_of(model),
        image=image.name,
        head=found,
        names=_names(metadata, found.classes),
        quantized=is_quantized(model),
        metadata=metadata,
        history=tuple(history),
    )


def _names(metadata: Mapping[str, str], classes: int) -> tuple[str, ...]:
    """Give the class names, unless there are more than classes: those belong to another head."""
    names = names_in(metadata)
    return names if not classes or len(names) <= classes else ()


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether the graph already holds Q/DQ nodes."""
    return any(node.op_type in QUANTIZING for graph in graphs_of(model.graph) for node in graph.node)
