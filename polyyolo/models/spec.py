"""Read what a model file is: its inputs, outputs, head, classes and strides."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from polyyolo import progress
from polyyolo.errors import ModelError
from polyyolo.models.heads import recognise
from polyyolo.models.metadata import metadata_of, names_in
from polyyolo.models.own_scaling import scales_levels
from polyyolo.models.reading import graphs_of, load, opset_of, sha256_of_model
from polyyolo.models.tensors import image_of, inputs_of, outputs_of
from polyyolo.records import HeadKind, ModelSpec, TensorSpec

__all__ = ["load", "read_spec"]

QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear"})
MOST_RUN = 4
"""A model of a larger fixed batch is told by shapes alone: to run it takes seconds."""
INTEGERS = ("QLinear", "QGemm", "ConvInteger", "MatMulInteger", "DynamicQuantize")
"""What the names of operators begin with that compute with integers themselves, as ONNX Runtime's QOperator format has
them."""


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
    _refuse_channels_last(path, model, image)
    batch = image.dims[0]
    found = recognise(model, head=head, look=isinstance(batch, str) or batch <= MOST_RUN)
    if found.doubt and head is None:
        progress.warn(found.doubt, "polyyolo inspect model shows how the model is read")
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
        takes_levels=scales_levels(model, image.name),
        metadata=metadata,
        history=tuple(history),
    )


def _refuse_channels_last(path: Path, model: onnx.ModelProto, image: TensorSpec) -> None:
    """Refuse an open input (N, H, W, C): its axes do not tell, but that they are turned before all else."""
    readers = [node for node in model.graph.node if image.name in node.input]
    turns = [list(each.ints) for node in readers if node.op_type == "Transpose" for each in node.attribute]
    if isinstance(image.dims[1], str) and readers and turns == [[0, 3, 1, 2]] * len(readers):
        raise ModelError(
            f"{path} takes pictures as (N, H, W, C): {image.name} is turned to (N, C, H, W) first",
            fix="export it with an input of shape (batch, 3, height, width)",
        )


def _names(metadata: Mapping[str, str], classes: int) -> tuple[str, ...]:
    """Give the class names, unless there are more than classes: those belong to another head."""
    names = names_in(metadata)
    return names if not classes or len(names) <= classes else ()


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether the graph already holds Q/DQ nodes, or computes with integers."""
    kinds = {node.op_type for graph in graphs_of(model.graph) for node in graph.node}
    return bool(kinds & QUANTIZING) or any(kind.startswith(INTEGERS) for kind in kinds)


def refuse_headless(spec: ModelSpec) -> None:
    """Refuse a model whose outputs cannot be read as boxes.

    Raises:
        ModelError: as above.
    """
    if spec.head.kind is HeadKind.NONE:
        kinds = ", ".join(kind.value for kind in HeadKind if kind is not HeadKind.NONE)
        raise ModelError(
            f"{spec.path} has no outputs that are known as boxes ({spec.head.why})",
            fix=f"name the family with --head: {kinds}",
        )
