"""A prepared model and its table in, the INT8 model out."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import onnx

from polyyolo.errors import InputError, ModelError, TableError
from polyyolo.files import replacing
from polyyolo.models.metadata import joined_in
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization import half
from polyyolo.quantization.gates import by_tanh
from polyyolo.quantization.graph import imported
from polyyolo.quantization.insertion import AS_THEY_ARE, Weights, insert
from polyyolo.quantization.placement import FloatBudget, Placement, place
from polyyolo.quantization.topology import data_of, identity, is_weighted
from polyyolo.quantization.work import macs
from polyyolo.records import CalibrationTable, ModelSpec

WAYS = ("auto", "stem", "none")
"""How to choose what stays in float, where it is not named."""


def placement_of(spec: ModelSpec, size: tuple[int, int], budget: FloatBudget) -> Placement:
    """Decide what of a model runs in INT8.

    Args:
        spec: an FP32 model without Q/DQ nodes.
        size: (height, width) in pixels, for counting each node's work.
        budget: what stays in float besides the head.
    """
    model = load(spec.path)
    return place(imported(model), macs(model, spec, size), budget)


def known_nodes(spec: ModelSpec, names: Sequence[str]) -> tuple[str, ...]:
    """Give the names that nodes have in a model: of one that a pass joined with others, that of the joined one.

    Of a tensor that costs accuracy, as reports list them, those of all nodes that read it.

    Raises:
        InputError: the model does not have such a node, or it holds no weights; the fix has names that come close.
    """
    joined = joined_in(spec.metadata)
    nodes = [node for node in imported(load(spec.path)).nodes if is_weighted(node)]
    known = {each: (each,) for node in nodes for each in (node.name, identity(node)) if each}
    readers: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        read = data_of(node).name
        readers[read] = (*readers.get(read, ()), identity(node))
    found: list[str] = []
    for name in [joined.get(name, name) for name in names]:
        called = known.get(name) or readers.get(name)
        if not called:
            close = get_close_matches(name, [*WAYS, *sorted({*known, *readers})], n=3, cutoff=0.3)
            raise InputError(
                f"{spec.path.name} has no convolution or matrix product called {name!r}, and none that reads it",
                fix="polyyolo inspect layers MODEL lists the names"
                + (f"; did you mean {' or '.join(close)}?" if close else ""),
            )
        found += called
    return tuple(dict.fromkeys(found))


def refuse_contradiction(kept: Sequence[str]) -> None:
    """Refuse to choose what stays in float and to choose nothing; names may stand beside either.

    Raises:
        InputError: as above.
    """
    chosen = [way for way in WAYS if way in kept]
    if "none" in chosen and len(chosen) > 1:
        raise InputError(
            f"--keep-float {chosen[0]} and --keep-float none contradict each other", fix="leave one of the two out"
        )


def budget_of(spec: ModelSpec, kept: Sequence[str], share: float) -> FloatBudget:
    """Say what stays in float besides the head, where nothing can be measured.

    Args:
        spec: an FP32 model.
        kept: ``stem`` for what is nearest the image, ``none``, or nodes by name.
        share: of the work that may be in float with ``stem``.

    Raises:
        InputError: a node that is not there, or ``auto``.
    """
    refuse_contradiction(kept)
    if "auto" in kept:
        raise InputError(
            "what costs the most is measured on pictures", fix="run polyyolo engine, or use --keep-float stem"
        )
    names = known_nodes(spec, [name for name in kept if name not in WAYS])
    return FloatBudget(share if "stem" in kept else 0.0, names)


def quantize(
    spec: ModelSpec,
    table: CalibrationTable,
    placement: Placement,
    output: Path,
    weights: Mapping[str, Weights] = AS_THEY_ARE,
) -> ModelSpec:
    """Write the model with Q/DQ nodes, all types still FP32.

    Args:
        spec: the FP32 model.
        table: ranges of its activations.
        placement: what runs in INT8.
        output: where the model goes.
        weights: by node identity, those that are not just rounded to the nearest.

    Raises:
        TableError: the table was made for another model, or lacks a tensor.
        ModelError: a tensor's range is beyond what a scale can hold, or the model cannot be raised to operator set 13.
    """
    if table.model_sha256 != spec.sha256:
        raise TableError(
            f"the calibration table belongs to model {table.model_sha256[:12]}, this one is {spec.sha256[:12]}",
            fix="calibrate this model",
        )
    how = f"quantize ({table.method}, {len(placement.nodes)} of {len(placement.nodes) + len(placement.in_float)} nodes)"
    return write_checked(by_tanh(insert(load(spec.path), placement, table, weights)), spec, output, how)


def cast_to_half(spec: ModelSpec, output: Path, *, half_io: bool = False) -> ModelSpec:
    """Write the model with FP16 types from the image to the head, as a strongly typed build needs it.

    Raises:
        ModelError: the model cannot hold FP16.
    """
    return write_checked(half.to_half(load(spec.path), spec.image, half_io=half_io), spec, output, "cast to FP16")


def write_checked(model: onnx.ModelProto, source: ModelSpec, output: Path, how: str) -> ModelSpec:
    """Write a changed model once the ONNX checker accepts it, and give what it is.

    Raises:
        ModelError: the checker refuses it.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise ModelError(
            f"after {how} the ONNX checker refuses the model: {error}", fix="simplify the model, or export it again"
        ) from error
    with replacing(output) as temporary:
        onnx.save(model, temporary)
    return read_spec(output, head=source.head.kind, history=(*source.history, how))
