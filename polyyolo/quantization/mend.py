"""Put right what lint found and can be put right without pictures."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import onnx
import onnx_graphsurgeon as gs

from polyyolo.errors import ModelError
from polyyolo.models.spec import load
from polyyolo.passes.result import PassResult
from polyyolo.quantization.graph import exported, imported
from polyyolo.quantization.lint.rules import Spot
from polyyolo.quantization.lint.table import CHECKS
from polyyolo.quantization.lint.view import view_of
from polyyolo.quantization.mend_clips import put_back_clips
from polyyolo.quantization.mend_scales import make_symmetric, repair_scale, rescale_weight, tie, widen_channels
from polyyolo.quantization.mend_wiring import bypass, complete, make_constants, read_skip
from polyyolo.quantization.quantize import write_checked
from polyyolo.quantization.topology import QUANTIZING
from polyyolo.records import ModelSpec

# In this order: axes and numbers first, since the later ones rely on them; what is removed before what is added or
# tied.
MENDERS: Mapping[str, Callable[[gs.Graph, Spot], None]] = MappingProxyType(
    {
        "computed-number": make_constants,
        "weight-axis": rescale_weight,
        "bias": bypass,
        "type": make_symmetric,
        "zero-point": make_symmetric,
        "scale": repair_scale,
        "per-channel-activation": widen_channels,
        "per-tensor-weight": rescale_weight,
        "decode": bypass,
        "dfl": bypass,
        "head": bypass,
        "conv-activation": bypass,
        "softmax": bypass,
        "double": bypass,
        "add-conv-branch": bypass,
        "half-quantized": complete,
        "unused": bypass,
        "add-skip-branch": read_skip,
        "untied": tie,
    }
)
# Mending one thing may bring up another; on real models nothing is left after the second round.
ROUNDS = 4
PACKED = frozenset({onnx.TensorProto.INT4, onnx.TensorProto.UINT4})
"""Types of which two numbers share a byte."""
NOTHING_LEFT = "nothing is left in INT8: quantize the float model with polyyolo engine"


def mend(model: onnx.ModelProto, rules: Collection[str] = tuple(MENDERS)) -> PassResult:
    """Give a copy of a Q/DQ model in which everything that can be put right is.

    Args:
        model: a model with Q/DQ nodes.
        rules: names of the rules to put right; those of ``MENDERS``.

    Returns:
        the model, and a note on how many places each rule was mended in; one more where that took all pairs away.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = imported(copy)
    put_back_clips(graph)
    mended: Counter[str] = Counter()
    for _ in range(ROUNDS):
        before = mended.total()
        for name in [name for name in MENDERS if name in rules]:
            mended[name] += _mend(graph, name)
        if mended.total() == before:
            break
    notes = [f"{name}: mended {count}" for name, count in mended.items() if count]
    if notes and not any(node.op in QUANTIZING for node in graph.nodes):
        notes.append(NOTHING_LEFT)
    return PassResult(exported(graph, like=model) if notes else model, changed=bool(notes), notes=tuple(notes))


def mend_file(spec: ModelSpec, output: Path) -> tuple[ModelSpec, tuple[str, ...]]:
    """Mend a model and write it.

    Returns:
        What the new file is, and the notes of ``mend``.

    Raises:
        ModelError: the model holds numbers of 4 bits, or the ONNX checker refuses it, mended as it is.
    """
    model = load(spec.path)
    packed = [tensor.name for tensor in model.graph.initializer if tensor.data_type in PACKED]
    if packed:
        raise ModelError(
            f"{spec.path} holds {len(packed)} tensors of 4 bits, {packed[0]!r} first, which cannot be written again",
            fix="quantize the float model to INT8, with polyyolo engine or another tool",
        )
    result = mend(model)
    return write_checked(result.model, spec, output, "mend Q/DQ" if result.changed else "no mending"), result.notes


def _mend(graph: gs.Graph, name: str) -> int:
    """Mend one rule in place, and give the number of places."""
    check = next(check for rule, check in CHECKS.items() if rule.name == name)
    spots = [spot for spot in check(view_of(graph)) if spot.can_be_mended]
    for spot in spots:
        MENDERS[name](graph, spot)
    if spots:
        graph.cleanup().toposort()
    return len(spots)
