"""Hold a Q/DQ model to every rule."""

import onnx
import onnx_graphsurgeon as gs

from polyyolo.errors import ModelError
from polyyolo.models.reading import load
from polyyolo.models.spec import is_quantized
from polyyolo.quantization.graph import imported
from polyyolo.quantization.lint.rules import Finding, Severity
from polyyolo.quantization.lint.table import CHECKS, INT8_SHARE
from polyyolo.quantization.lint.values import computed_numbers
from polyyolo.quantization.lint.view import View, is_int8, view_of
from polyyolo.quantization.mend import MENDERS
from polyyolo.quantization.topology import identity
from polyyolo.quantization.work import macs
from polyyolo.records import ModelSpec

REFUSED = {"integer-operator": ("",), "zero-point": ("",), "type": ("UINT8", "INT16", "UINT16"), "bias": ("INT32",)}
"""Rules that every TensorRT's parser has -> how the details of what it refuses begin. FP8 and INT4 depend on the
release."""


def lint(model: onnx.ModelProto, spec: ModelSpec, size: tuple[int, int]) -> tuple[Finding, ...]:
    """Find what TensorRT would refuse, run slowly or get wrong.

    Args:
        model: a model with Q/DQ nodes, from any tool; it is not changed.
        spec: what it is.
        size: (height, width) in pixels, for counting the work.

    Returns:
        The findings, errors first, then in the order of the rules; the last tells the share of work in INT8.

    Raises:
        ModelError: there is no Q/DQ node in the graph.
    """
    if not is_quantized(model):
        raise ModelError(
            f"{spec.path} has no QuantizeLinear or DequantizeLinear in its graph: nothing is quantized",
            fix="quantize it first, with polyyolo engine, or name the quantized file",
        )
    return findings(model, spec, size)


def refuse_unbuildable(spec: ModelSpec) -> None:
    """Refuse a quantized model of which it is known that TensorRT's parser refuses it.

    Raises:
        ModelError: it computes with integers itself, or has zero-points other than 0, unsigned or long integers, or
            biases stored as integers.
    """
    view = view_of(imported(load(spec.path)))
    for rule, check in CHECKS.items():
        if rule.name not in REFUSED:
            continue
        spots = [spot for spot in check(view) if spot.detail.startswith(REFUSED[rule.name])]
        if spots:
            raise ModelError(
                f"{spec.path} cannot be built: {rule.message} at {spots[0].names[0]}"
                f"{f' and {len(spots) - 1} more' * (len(spots) > 1)}; {rule.cost}",
                fix=f"{rule.fix}; polyyolo inspect qdq tells all, and --fix mends what needs no pictures",
            )


def has_computed_numbers(spec: ModelSpec) -> bool:
    """Whether nodes compute scales or zero-points from constants."""
    return any(computed_numbers(view_of(imported(load(spec.path)))))


def findings(model: onnx.ModelProto, spec: ModelSpec, size: tuple[int, int]) -> tuple[Finding, ...]:
    """Find as ``lint`` does, in a model that may have no Q/DQ node left once it was mended."""
    view = view_of(imported(model))
    found = [
        Finding(rule, spot.names, spot.detail, spot.can_be_mended and rule.name in MENDERS)
        for rule, check in CHECKS.items()
        for spot in check(view)
    ]
    severities = list(Severity)
    found.sort(key=lambda finding: severities.index(finding.rule.severity))
    return (*found, _share(model, spec, size, view))


def _share(model: onnx.ModelProto, spec: ModelSpec, size: tuple[int, int], view: View) -> Finding:
    work = macs(model, spec, size)
    quantized = {
        identity(node)
        for node in view.graph.nodes
        if identity(node) in work and is_int8(node) and not _other_types(view, node)
    }
    total = sum(work.values())
    share = sum(work[name] for name in quantized) / total if total else 0.0
    detail = f"{share:.1%} of {total / 1e9:.2f} GMACs, {len(quantized)} of {len(work)} convolutions and products"
    shifted = sum(pair.middle != 0 for pair in view.activations())
    return Finding(INT8_SHARE, (), f"{detail}; tensors shifted before Q: {shifted}" if shifted else detail)


def _other_types(view: View, node: gs.Node) -> set[str]:
    """Name the types that a weighted node's factors are stored in, but for those of 8 bits: FP8, INT4 or INT16."""
    return {pair.type for pair in map(view.pair_before, node.inputs[:2]) if pair is not None} - {"INT8", "UINT8"}
