"""Compute the boxes of DFL's probabilities by one matrix product, a factor and an offset, whatever made them before."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.models.runtime import open_session
from polyyolo.passes import fold_constants
from polyyolo.passes.dfl import Dfl, NotFusedError, dfl_at
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, free_name, names_of, opened

Floats = npt.NDArray[np.float32]
Compute = Callable[[Floats], Floats]

OPSET = 13
"""Before it, Softmax flattens all axes behind its own."""
TOLERANCE = 1e-6
"""Of the largest box; FP32 rounds to 6e-8."""
SEED = 0
ANY_BATCH = 2
"""Pictures to try an open batch with: with one, it would not show where boxes of several are mixed."""


@frozen
class Boxes:
    """What a decode computes: boxes[j, n] = factor[n] * sum over c of weights[j, c] * chances[c, n] + offset[j, n].

    Attributes:
        weights: (4, 4 * bins).
        factor: (N,).
        offset: (4, N).
    """

    weights: Floats
    factor: Floats
    offset: Floats


def run(model: onnx.ModelProto) -> PassResult:
    """Put six operators in the place of all that leads from the logits of DFL (YOLOv8 and later) to the boxes.

    The expectation over the bins, anchors and strides are affine in the probabilities, whatever an exporter writes
    them as; each operator costs TensorRT a kernel, which takes microseconds however little it does. What the decode
    computes is learned by running it, and held against it on random logits before it is replaced. Only the rounding
    of FP32 differs. Constants are folded first, since the anchors must be known.
    """
    if not any(node.op_type == "Softmax" for node in model.graph.node):
        return PassResult(model, changed=False, notes=("no DFL to fuse",))
    fused = folded = onnx.shape_inference.infer_shapes(fold_constants.run(model).model, data_prop=True)
    notes: list[str] = []
    for name in [node.output[0] for node in folded.graph.node if node.op_type == "Softmax"]:
        fused, told = _tried_at(fused, name)
        notes += told
    if fused is folded:
        return PassResult(model, changed=False, notes=tuple(notes) or ("no DFL to fuse",))
    before, after = len(model.graph.node), len(fused.graph.node)
    return PassResult(fused, changed=True, notes=(f"{before} nodes became {after}", *notes))


def _tried_at(model: onnx.ModelProto, name: str) -> tuple[onnx.ModelProto, list[str]]:
    """Fuse at the Softmax that makes ``name``, or tell why not; nothing is told of what is no DFL."""
    try:
        return _fused_at(model, name), []
    except NotFusedError as reason:
        return model, [f"the DFL at {name} is left as it is: {reason}"]


def _fused_at(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Replace the decode behind the Softmax that makes ``name``, if it is DFL's.

    Raises:
        NotFusedError: it is not sure that the boxes stay what they are, or no operator is saved.
    """
    graph = opened(model).toposort()
    softmax = next((node for node in graph.nodes if node.outputs[0].name == name), None)
    dfl = dfl_at(graph, softmax) if softmax else None
    if dfl is None:
        return model
    if graph.opset < OPSET:
        raise NotFusedError(f"operator set {graph.opset} has no Softmax along one axis of several; {OPSET} has")
    old, shape = _between(dfl.logits, dfl.boxes, dfl.nodes, model), _trial_shape(dfl.logits)
    new = list(_nodes(graph, dfl, _learned(_computing(_linear(old, name)), shape)))
    if len(new) >= len(dfl.nodes):
        raise NotFusedError(f"{dfl.boxes.name} takes {len(dfl.nodes)} operators, and would take {len(new)}")
    logits = np.random.default_rng(SEED).normal(0, 8, shape).astype(np.float32)
    _prove(_computing(old)(logits), _computing(_between(dfl.logits, new[-1].outputs[0], new, model))(logits))
    graph.nodes.extend(new)
    dfl.boxes.inputs.clear()
    new[-1].outputs[0] = dfl.boxes
    return closed(graph, model)


def _between(
    source: gs.Variable, target: gs.Variable, nodes: Sequence[gs.Node], like: onnx.ModelProto
) -> onnx.ModelProto:
    """Make a model of ``nodes`` alone."""
    part: onnx.ModelProto = gs.export_onnx(gs.Graph(list(nodes), [source], [target]), opset_imports=like.opset_import)
    part.ir_version = like.ir_version
    return part


def _linear(part: onnx.ModelProto, softmax: str) -> onnx.ModelProto:
    """Let ``part`` take probabilities in the place of logits."""
    copy = onnx.ModelProto()
    copy.CopyFrom(part)
    node = next(node for node in copy.graph.node if node.output[0] == softmax)
    node.op_type = "Identity"
    del node.attribute[:]
    return copy


def _computing(part: onnx.ModelProto) -> Compute:
    """Open a model of one input and one output."""
    session = open_session(part.SerializeToString(), optimised=False)
    source = part.graph.input[0].name

    def compute(values: Floats) -> Floats:
        try:
            computed: Floats = session.run(None, {source: values})[0]
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            shape = "x".join(map(str, values.shape))
            raise NotFusedError(f"ONNX Runtime cannot run it with {shape}") from error
        return computed

    return compute


def _trial_shape(logits: gs.Variable) -> tuple[int, int, int]:
    batch, channels, places = logits.shape
    return (batch if isinstance(batch, int) and batch > 0 else ANY_BATCH), channels, places


def _learned(compute: Compute, shape: tuple[int, int, int]) -> Boxes:
    """Learn the map from its values at zero and at one for each channel, in all places at once.

    Args:
        compute: boxes (B, 4, N) from probabilities of ``shape``.
        shape: (B, 4 * bins, N).

    Raises:
        NotFusedError: the boxes are the same for all probabilities.
    """
    batch, channels, _ = shape
    probes = np.vstack([np.zeros(channels), np.eye(channels)]).astype(np.float32)
    fed = np.resize(probes, (-(-len(probes) // batch), batch, channels))
    boxes = np.concatenate([compute(np.ascontiguousarray(np.broadcast_to(each[..., None], shape))) for each in fed])
    offset, slopes = boxes[0], boxes[1 : len(probes)] - boxes[0]
    channel, side, place = np.unravel_index(np.abs(slopes).argmax(), slopes.shape)
    largest = slopes[channel, side, place]
    if largest == 0:
        raise NotFusedError("its boxes do not depend on it")
    return Boxes(weights=slopes[..., place].T, factor=slopes[channel, side] / largest, offset=offset)


def _nodes(graph: gs.Graph, dfl: Dfl, boxes: Boxes) -> Iterator[gs.Node]:
    """Make the nodes that compute ``boxes`` from the logits, for any batch: a 0 lets Reshape copy that axis."""
    batch, channels, places = dfl.logits.shape
    bins = (4, channels // 4, places)
    steps: tuple[tuple[str, dict[str, object], tuple[int, ...], npt.NDArray[np.generic] | None], ...] = (
        ("Reshape", {}, bins, np.array((0, *bins))),
        ("Softmax", {"axis": 2}, bins, None),
        ("Reshape", {}, (channels, places), np.array((0, channels, places))),
        ("MatMul", {}, (4, places), boxes.weights),
        ("Mul", {}, (4, places), boxes.factor.reshape(1, 1, places)),
        ("Add", {}, (4, places), boxes.offset.reshape(1, 4, places)),
    )
    names = names_of(graph)
    tensor = dfl.logits
    for op, attrs, dims, values in steps:
        name = free_name(f"{dfl.boxes.name}_{op}", names)
        inputs = [tensor] if values is None else [tensor, gs.Constant(free_name(f"{name}_constant", names), values)]
        made = gs.Variable(name, np.float32, [batch, *dims])
        yield gs.Node(op, name, attrs, inputs[::-1] if op == "MatMul" else inputs, [made])
        tensor = made


def _prove(expected: Floats, got: Floats) -> None:
    largest = np.abs(expected).max()
    off = np.abs(expected - got).max() if expected.shape == got.shape else np.inf
    if not off <= TOLERANCE * largest:  # NaN is no proof
        raise NotFusedError(f"its boxes of random logits would change by {off:.3g} of {largest:.3g}")
