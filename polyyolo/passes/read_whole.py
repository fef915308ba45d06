"""Where a tensor is split and joined again, as in YOLOv8's C2f, all read it whole: no part of it is copied."""

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.passes import fold_constants
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, constant_of, free_name, opened, values_of
from polyyolo.work_units import BYTES_OF_HALF, MACS_PER_BYTE, MACS_PER_KERNEL

CHANNELS = 1
"""The axis that is split and joined."""


@frozen
class Split:
    """A Split of which the Concat behind it joins all parts again, side by side.

    Attributes:
        node: the Split.
        joined: the Concat.
        place: of the first part among what it joins.
        starts: the first channel of each part, and one more: how many channels there are.
        readers: convolutions that read one part, with the part's number.
        added: residual Adds of a part (its number) and of what else they add, which the Concat alone reads.
        behind: convolutions that read what the Concat joins.
    """

    node: gs.Node
    joined: gs.Node
    place: int
    starts: tuple[int, ...]
    readers: tuple[tuple[gs.Node, int], ...]
    added: tuple[tuple[gs.Node, int, gs.Variable], ...]
    behind: tuple[gs.Node, ...]

    @property
    def saves(self) -> float:
        """What goes, in multiply-accumulates: a copy a part but one, the Adds, and what these move as FP16."""
        kernels = len(self.starts) - 2 + len(self.added)
        values = np.prod(self.node.inputs[0].shape[1:], dtype=float)
        return float(kernels * (MACS_PER_KERNEL + MACS_PER_BYTE * BYTES_OF_HALF * values))

    @property
    def costs(self) -> float:
        """What comes, in multiply-accumulates: channels of zeros that the readers of a part multiply with."""
        total = 0.0
        for conv, part in self.readers:
            weight, made = values_of(conv.inputs[1]), conv.outputs[0].shape
            others = self.starts[-1] - (self.starts[part + 1] - self.starts[part])
            total += others * weight.shape[0] * np.prod(weight.shape[2:]) * np.prod(made[2:], dtype=float)
        return total


def run(model: onnx.ModelProto) -> PassResult:
    """Let convolutions read a whole tensor, with weights of 0 for the parts that they did not read.

    TensorRT copies both halves of a C2f's tensor into the Concat, and changes their layout. What the bottleneck adds to
    its half is left to the weights of the convolution behind the Concat: v * a + w * (a + b) is (v + w) * a + w * b.
    That is done where it saves more than the zeros cost, so in large maps of few channels. Numbers change by FP32's
    rounding.
    """
    graph = opened(onnx.shape_inference.infer_shapes(fold_constants.run(model).model))
    names = set(graph.tensors())
    found = 0
    for split in list(_splits(graph)):
        if split.costs < split.saves:
            _read_whole(split, names)
            found += 1
    if not found:
        return PassResult(model, changed=False, notes=("no split tensor that is better read whole",))
    return PassResult(closed(graph, model), changed=True, notes=(f"{found} split tensors are read whole",))


def _splits(graph: gs.Graph) -> Iterator[Split]:
    outputs = {id(tensor) for tensor in graph.outputs}
    for node in graph.nodes:
        split = _split(node) if node.op == "Split" and node.attrs.get("axis", 0) in (CHANNELS, CHANNELS - 4) else None
        if split is not None and not outputs & {id(each) for each in (*node.outputs, *_between(split))}:
            yield split


def _between(split: Split) -> Iterator[gs.Variable]:
    yield from (add.outputs[0] for add, *_ in split.added)
    yield split.joined.outputs[0]


def _split(node: gs.Node) -> Split | None:
    """Tell how the parts of a Split are used, if in no other way than is known here."""
    source, parts = node.inputs[0], list(node.outputs)
    shapes = [tensor.shape for tensor in (source, *parts)]
    if any(shape is None or len(shape) != 4 or not all(isinstance(dim, int) for dim in shape[1:]) for shape in shapes):
        return None
    joined = next((reader for reader in parts[0].outputs if reader.op == "Concat"), None)
    if joined is None or joined.attrs["axis"] not in (CHANNELS, CHANNELS - 4):
        return None
    ids = [id(tensor) for tensor in joined.inputs]
    place = ids.index(id(parts[0]))
    if ids[place : place + len(parts)] != [id(part) for part in parts]:
        return None
    readers, added = [], []
    for number, part in enumerate(parts):
        for reader in [reader for reader in part.outputs if reader is not joined]:
            other = _other(reader, part)
            if _reads(reader, part):
                readers.append((reader, number))
            elif other is not None and [id(each) for each in reader.outputs[0].outputs] == [id(joined)]:
                added.append((reader, number, other))
            else:
                return None
    behind = tuple(joined.outputs[0].outputs)
    if not readers or not all(_reads(conv, joined.outputs[0]) for conv in behind):
        return None
    starts = tuple(np.cumsum([0, *(shape[CHANNELS] for shape in shapes[1:])]).tolist())
    return Split(node, joined, place, starts, tuple(readers), tuple(added), behind)


def _reads(node: gs.Node, tensor: gs.Variable) -> bool:
    """Whether a node is a convolution of a tensor, all of its channels at once, with constant weights."""
    plain = node.op == "Conv" and node.attrs.get("group", 1) == 1
    return plain and node.inputs[0] is tensor and constant_of(node.inputs[1]) is not None


def _other(node: gs.Node, part: gs.Variable) -> gs.Variable | None:
    """Give what else a residual Add adds, in the shape of its own output; None where the node is no such Add."""
    others = [tensor for tensor in node.inputs if tensor is not part]
    if node.op != "Add" or len(others) != 1 or isinstance(others[0], gs.Constant):
        return None
    return others[0] if others[0].shape == part.shape == node.outputs[0].shape else None


def _read_whole(split: Split, names: set[str]) -> None:
    source, joined = split.node.inputs[0], split.joined
    for conv, part in split.readers:
        own = values_of(conv.inputs[1])
        wide = np.zeros((own.shape[0], split.starts[-1], *own.shape[2:]), own.dtype)
        wide[:, split.starts[part] : split.starts[part + 1]] = own
        weight = gs.Constant(free_name(f"{conv.inputs[1].name}_whole", names), wide)
        conv.inputs = [source, weight, *conv.inputs[2:]]
    first = np.cumsum([0, *(tensor.shape[CHANNELS] for tensor in joined.inputs)])
    for conv in split.behind if split.added else ():
        weights = values_of(conv.inputs[1]).copy()
        for add, part, _ in split.added:
            at = next(place for place, tensor in enumerate(joined.inputs) if tensor is add.outputs[0])
            own, sums = first[split.place + part], first[at]
            width = split.starts[part + 1] - split.starts[part]
            weights[:, own : own + width] += weights[:, sums : sums + width]
        conv.inputs[1] = gs.Constant(free_name(f"{conv.inputs[1].name}_whole", names), weights)
    others = {id(add.outputs[0]): other for add, _, other in split.added}
    inputs = [others.get(id(tensor), tensor) for tensor in joined.inputs]
    last = split.place + len(split.node.outputs)
    joined.inputs = [*inputs[: split.place], source, *inputs[last:]]
    for node in (split.node, *(add for add, *_ in split.added)):
        node.outputs.clear()
