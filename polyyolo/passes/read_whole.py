"""Where a tensor is split and joined again, as in YOLOv8's C2f, all read it whole: no part of it is copied."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.passes import fold_constants
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, constant_of, free_name, is_a, joins, names_of, opened, values_of
from polyyolo.work_units import BYTES_OF_HALF, MACS_PER_BYTE, MACS_PER_KERNEL

CHANNELS = 1
"""The axis that is split and joined."""
DIMS = 4
"""Of a map: batch, channels, height and width."""
NOTHING = "no split tensor that is better read whole"


@frozen
class Block:
    """What lies between a Split and the Concat that joins all of its parts again, first of all.

    The Split's input and what grew from it, one behind the other, make up the channels of what is read in the place of
    parts and sums: the source, then what residual Adds add to its parts, then what the Concat joins besides.

    Attributes:
        source: what is split.
        joined: the Concat.
        grown: what stands behind the source.
        places: id of a part, a sum or what else is joined -> where the channels begin of which it is the sum.
        readers: convolutions that read one of these, with that tensor.
        copies: those of these that TensorRT copies into the Concat.
        gone: the Split and the residual Adds.
    """

    source: gs.Variable
    joined: gs.Node
    grown: tuple[gs.Variable, ...]
    places: Mapping[int, tuple[int, ...]]
    readers: tuple[tuple[gs.Node, gs.Variable], ...]
    copies: tuple[gs.Variable, ...]
    gone: tuple[gs.Node, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many channels there are, with none of ``grown``, with the first, and so on."""
        return tuple(np.cumsum([tensor.shape[CHANNELS] for tensor in (self.source, *self.grown)]).tolist())

    def read_by(self, tensor: gs.Variable) -> int:
        """Tell how many of ``grown`` one must read to have all channels of which a tensor is the sum."""
        end = self.places[id(tensor)][-1] + tensor.shape[CHANNELS]
        return next(count for count, size in enumerate(self.sizes) if size >= end)

    @property
    def saves(self) -> float:
        """What goes, in multiply-accumulates: copies and sums, each a kernel that reads and writes FP16."""
        made = [*self.copies, *(node.outputs[0] for node in self.gone if is_a(node, "Add"))]
        moved = sum(2 * BYTES_OF_HALF * np.prod(tensor.shape[1:], dtype=float) for tensor in made)
        return float(len(made) * MACS_PER_KERNEL + MACS_PER_BYTE * moved)

    @property
    def costs(self) -> float:
        """What comes, in multiply-accumulates: channels that convolutions did not read before."""
        read = [(conv, self.sizes[self.read_by(tensor)]) for conv, tensor in self.readers]
        read += [(conv, self.sizes[-1]) for conv in self.joined.outputs[0].outputs]
        total = 0.0
        for conv, channels in read:
            weight = values_of(conv.inputs[1])
            size = np.prod((*weight.shape[2:], *conv.outputs[0].shape[2:]), dtype=float)
            total += (channels - weight.shape[1]) * weight.shape[0] * size
        return total


def run(model: onnx.ModelProto) -> PassResult:
    """Let convolutions read a whole tensor in the place of its parts and of sums with it.

    They have weights of 0 for the parts that they did not read, and what a bottleneck adds is left to the weights
    behind: v * a + w * (a + b) is (v + w) * a + w * b. TensorRT copies both halves of a C2f's tensor into the Concat,
    and each sum that another convolution reads as well. That is done where it saves more than the added channels cost,
    so in large maps of few channels. Numbers change by FP32's rounding.

    Sums alone stay: in the bottlenecks of YOLOv5's C3, what is added and what it is added to would share one scale of
    INT8 then, and boxes agree less.
    """
    if not any(node.op_type == "Split" for node in model.graph.node):
        return PassResult(model, changed=False, notes=(NOTHING,))
    graph = opened(onnx.shape_inference.infer_shapes(fold_constants.run(model).model))
    names = names_of(graph)
    found, gone = 0, set[int]()
    for block in list(_blocks(graph)):
        own = set(map(id, block.gone))
        if not own & gone and block.costs < block.saves:
            _read_whole(graph, block, names)
            gone |= own
            found += 1
    if not found:
        open_size = any(is_a(node, "Split") and _is_open_map(node.outputs[0]) for node in graph.nodes)
        told = ", of those whose channels, height and width are known" if open_size else ""
        return PassResult(model, changed=False, notes=(f"{NOTHING}{told}",))
    return PassResult(closed(graph, model), changed=True, notes=(f"tensors that are read whole now: {found}",))


def _blocks(graph: gs.Graph) -> Iterator[Block]:
    outputs = {id(tensor) for tensor in graph.outputs}
    order = {id(node): place for place, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        block = _block(node) if joins(node, CHANNELS, DIMS) else None
        if block is None or outputs & {*block.places, id(block.joined.outputs[0])}:
            continue
        changed = {id(each) for each in (*block.gone, *(conv for conv, _ in block.readers))}
        if changed <= order.keys() and all(
            _comes_late_enough(block, conv, tensor, order) for conv, tensor in block.readers
        ):
            yield block


def _comes_late_enough(block: Block, conv: gs.Node, tensor: gs.Variable, order: Mapping[int, int]) -> bool:
    """Whether all is there that a convolution would read."""
    read = block.grown[: block.read_by(tensor)]
    return all(order[id(grown.inputs[0])] < order[id(conv)] for grown in read)


def _block(joined: gs.Node) -> Block | None:
    """Tell how what a Concat joins grew from a tensor that is split, if in no other way than is known here."""
    parts = _parts(joined)
    source = parts[0].inputs[0].inputs[0] if parts else None
    if source is None or not all(map(_is_known_map, (source, *joined.inputs, joined.outputs[0]))):
        return None
    found = _growth(parts, joined)
    if found is None:
        return None
    tensors, places, grown, adds = found
    readers = [
        (node, tensor) for tensor in tensors for node in tensor.outputs if node is not joined and not is_a(node, "Add")
    ]
    behind = [(node, joined.outputs[0]) for node in joined.outputs[0].outputs]
    if not grown or not readers or not all(_reads(conv, tensor) for conv, tensor in (*readers, *behind)):
        return None
    copies = (*parts, *(tensor for tensor in joined.inputs[len(parts) :] if len(tensor.outputs) > 1))
    return Block(source, joined, tuple(grown), places, tuple(readers), copies, (parts[0].inputs[0], *adds))


def _growth(
    parts: Sequence[gs.Variable], joined: gs.Node
) -> tuple[list[gs.Variable], dict[int, tuple[int, ...]], list[gs.Variable], list[gs.Node]] | None:
    """Give parts, sums and what else is joined; their places, what grew, and the residual Adds, as ``Block`` has them.

    None where an Add is not one of something that nothing else reads.
    """
    *starts, end = np.cumsum([0, *(part.shape[CHANNELS] for part in parts)]).tolist()
    places: dict[int, tuple[int, ...]] = {id(part): (start,) for part, start in zip(parts, starts, strict=True)}
    tensors, grown, adds = list(parts), [], []
    for tensor in tensors:  # which gets longer meanwhile
        for add in [node for node in tensor.outputs if is_a(node, "Add")]:
            other = _added(add, places)
            if other is None:
                return None
            places[id(add.outputs[0])] = (*places[id(tensor)], end)
            end += other.shape[CHANNELS]
            tensors.append(add.outputs[0])
            grown.append(other)
            adds.append(add)
    for tensor in joined.inputs:
        if id(tensor) not in places:
            places[id(tensor)] = (end,)
            end += tensor.shape[CHANNELS]
            tensors.append(tensor)
            grown.append(tensor)
    return tensors, places, grown, adds


def _parts(joined: gs.Node) -> list[gs.Variable]:
    """Give the parts of a Split that a Concat joins first of all, in their order; none where it joins no such parts."""
    split = joined.inputs[0].inputs[0] if joined.inputs[0].inputs else None
    if split is None or not is_a(split, "Split") or split.attrs.get("axis", 0) not in (CHANNELS, CHANNELS - DIMS):
        return []
    parts = list(split.outputs)
    return parts if [id(each) for each in joined.inputs[: len(parts)]] == [id(part) for part in parts] else []


def _is_known_map(tensor: gs.Tensor) -> bool:
    """Whether a tensor is made by the model, and its channels, height and width are numbers."""
    dims = tensor.shape
    return (
        bool(tensor.inputs) and dims is not None and len(dims) == DIMS and all(isinstance(dim, int) for dim in dims[1:])
    )


def _is_open_map(tensor: gs.Tensor) -> bool:
    """Whether a tensor is, or may be, a map whose size is not known."""
    return tensor.shape is None or (len(tensor.shape) == DIMS and not _is_known_map(tensor))


def _added(add: gs.Node, places: Mapping[int, tuple[int, ...]]) -> gs.Variable | None:
    """Give what an Add, and nothing else, adds to a tensor of a block, in that one's shape; else None."""
    others = [tensor for tensor in add.inputs if id(tensor) not in places]
    if len(others) != 1 or not _is_known_map(others[0]) or len(others[0].outputs) != 1:
        return None
    return others[0] if all(tensor.shape == add.outputs[0].shape for tensor in add.inputs) else None


def _reads(node: gs.Node, tensor: gs.Variable) -> bool:
    """Whether a node is a convolution of a tensor, all of its channels at once, with constant weights."""
    plain = is_a(node, "Conv") and node.attrs.get("group", 1) == 1
    return plain and node.inputs[0] is tensor and constant_of(node.inputs[1]) is not None


def _read_whole(graph: gs.Graph, block: Block, names: set[str]) -> None:
    starts = np.cumsum([0, *(tensor.shape[CHANNELS] for tensor in block.joined.inputs)]).tolist()
    places = {start: block.places[id(tensor)] for start, tensor in zip(starts, block.joined.inputs, strict=False)}
    for conv in block.joined.outputs[0].outputs:
        _widen(conv, places, block.sizes[-1], names)
    wholes = _wholes(graph, block, names)
    for conv, tensor in block.readers:
        count = block.read_by(tensor)
        _widen(conv, {0: block.places[id(tensor)]}, block.sizes[count], names)
        conv.inputs[0] = wholes[count]
    for node in block.gone:
        node.outputs.clear()


def _wholes(graph: gs.Graph, block: Block, names: set[str]) -> dict[int, gs.Variable]:
    """Join what is read in the place of parts and sums, and give it by how many of ``grown`` are in it.

    Each begins with the one before: so TensorRT writes all of them into one piece of memory.
    """
    wholes, last = {0: block.source, len(block.grown): block.joined.outputs[0]}, 0
    for count in sorted({block.read_by(tensor) for _, tensor in block.readers} - wholes.keys()):
        name = free_name(f"{block.joined.outputs[0].name}_{count}", names)
        dims = [block.source.shape[0], block.sizes[count], *block.source.shape[2:]]
        wholes[count] = gs.Variable(name, block.source.dtype, dims)
        inputs = [wholes[last], *block.grown[last:count]]
        graph.nodes.append(gs.Node("Concat", name, {"axis": CHANNELS}, inputs, [wholes[count]]))
        last = count
    block.joined.inputs = [wholes[last], *block.grown[last:]]
    block.joined.outputs[0].shape = [block.source.shape[0], block.sizes[-1], *block.source.shape[2:]]
    return wholes


def _widen(conv: gs.Node, places: Mapping[int, tuple[int, ...]], channels: int, names: set[str]) -> None:
    """Give a convolution weights for more channels.

    Args:
        conv: changed.
        places: where channels of its input began -> where those begin of which they were the sum.
        channels: how many it reads now.
        names: of the graph's tensors.
    """
    own = values_of(conv.inputs[1])
    wide = np.zeros((own.shape[0], channels, *own.shape[2:]), own.dtype)
    starts = [*sorted(places), own.shape[1]]
    for start, end in pairwise(starts):
        for place in places[start]:
            wide[:, place : place + end - start] += own[:, start:end]
    conv.inputs[1] = gs.Constant(free_name(f"{conv.inputs[1].name}_whole", names), wide)
