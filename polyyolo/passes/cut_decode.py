"""Cut off everything after the last convolutions, so that the raw heads come out."""

import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.errors import ModelError
from polyyolo.models.heads import recognise
from polyyolo.models.metadata import Anchors, anchors_in, entries_for, metadata_of, with_metadata
from polyyolo.models.outline import stride_of
from polyyolo.models.probe import OPEN_SIZE
from polyyolo.models.tensors import image_of, inputs_of
from polyyolo.models.trail import Trail, trail_to
from polyyolo.passes.read_anchors import read_anchors
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, opened
from polyyolo.passes.trial import Array, outputs_for, pictures, with_outputs
from polyyolo.passes.turn_late import is_late
from polyyolo.records import RAW, Head, HeadKind


@frozen
class Level:
    """The last convolutions that work on one map.

    Attributes:
        stride: pixels a cell.
        tensors: their outputs, in the order in which their channels go.
        channels: of all of them together.
        dtype: numpy's name of their type.
    """

    stride: int
    tensors: tuple[str, ...]
    channels: int
    dtype: str

    @property
    def output(self) -> str:
        """What the map is called."""
        return f"head{self.stride}"


def run(model: onnx.ModelProto) -> PassResult:
    """Make the last convolutions' maps the outputs, one a stride, smallest stride first, named head8, head16, ...

    YOLOv5's maps have 3 * (5 + C) channels; the anchors that its decode held go into the metadata. Where several
    convolutions share a stride (YOLOv8's box distribution and class scores), their maps are joined, boxes first. Other
    families' maps are not taken for these two.

    Raises:
        ModelError: there is no decode to cut, or not one that is known.
    """
    head = recognise(model)
    if head.kind in RAW:
        return PassResult(model, changed=False, notes=("the raw heads come out already",))
    if head.kind is HeadKind.NONE:
        raise ModelError(f"there is no decode to cut: {head.why}", fix="leave this pass out")
    trail = _trail(model, head)
    levels = _levels(model, trail)
    if len(levels) < 2:
        raise ModelError(
            f"{len(levels)} maps lead to {', '.join(head.outputs)}, too few for a YOLO head", fix="leave this pass out"
        )
    anchors = _anchors(model, levels, trail)
    cut = _cut(model, levels)
    metadata = {key: value for key, value in metadata_of(model).items() if key != "head"}
    strides = tuple(level.stride for level in levels)
    outputs = tuple(level.output for level in levels)
    metadata["strides"] = json.dumps(strides)
    kind = _kind(head, levels, anchors)
    if kind:
        metadata.update(entries_for(Head(kind, outputs=outputs, strides=strides, anchors=anchors)))
    return PassResult(with_metadata(cut, metadata), changed=True, notes=_notes(levels, anchors, kind))


def _kind(head: Head, levels: Sequence[Level], anchors: Anchors) -> HeadKind | None:
    """Tell what the maps are; None where a look at them has to."""
    if anchors:
        return HeadKind.V5_RAW
    if all(len(level.tensors) == 1 for level in levels):
        return None
    both = head.kind is HeadKind.V8 and all(len(level.tensors) == 2 for level in levels)
    return HeadKind.V8_RAW if both else HeadKind.NONE


def _trail(model: onnx.ModelProto, head: Head) -> Trail:
    """Join the trails to the head's outputs, that to the boxes first where scores are apart."""
    trails = [trail_to(name, model.graph.node) for name in head.outputs]
    between = {node.output[0]: node for trail in trails for node in trail.between}
    convs = {node.output[0]: node for trail in trails for node in trail.convs}
    return Trail(between=tuple(between.values()), convs=tuple(convs.values()))


def _levels(model: onnx.ModelProto, trail: Trail) -> tuple[Level, ...]:
    """Group the last convolutions by the size of their maps, found by running the model once."""
    names = _boxes_first(trail)
    image = image_of(inputs_of(model))
    size = tuple(dim if isinstance(dim, int) else usual for dim, usual in zip(image.dims[2:], OPEN_SIZE, strict=True))
    count = image.dims[0] if isinstance(image.dims[0], int) else 1
    height, width = size
    maps = outputs_for(with_outputs(model, names), pictures(model, count, (height, width)), wanted=names)
    by_stride: dict[int, list[str]] = {}
    for name in names:
        rows, columns = maps[name].shape[2:4] if maps[name].ndim == 4 else (0, 0)
        stride = stride_of(rows, columns, (height, width))
        if stride is not None:
            by_stride.setdefault(stride, []).append(name)
    return tuple(_level(stride, by_stride[stride], maps) for stride in sorted(by_stride))


def _level(stride: int, names: Sequence[str], maps: Mapping[str, Array]) -> Level:
    channels = sum(maps[name].shape[1] for name in names)
    return Level(stride=stride, tensors=tuple(names), channels=channels, dtype=maps[names[0]].dtype.name)


def _boxes_first(trail: Trail) -> list[str]:
    """Order the convolutions' outputs as the Concat that joins boxes and scores has them, else as the graph does.

    That Concat brings together all of them, each once, and maybe constants, as YOLOv6's objectness of 1.
    """
    every = [node.output[0] for node in trail.convs]
    for concat in (node for node in trail.between if node.op_type == "Concat"):
        joined = [conv for name in concat.input for conv in _convs_behind(name, trail)]
        if sorted(joined) == sorted(every):
            return joined
    return every


def _convs_behind(tensor: str, trail: Trail) -> list[str]:
    return [node.output[0] for node in trail_to(tensor, (*trail.convs, *trail.between)).convs]


def _anchors(model: onnx.ModelProto, levels: Iterable[Level], trail: Trail) -> Anchors:
    """Read the anchors of a YOLOv5 decode, from the metadata once it is merged; empty where it is another's."""
    if any(len(level.tensors) != 1 for level in levels):
        return ()
    return read_anchors(model, [level.tensors[0] for level in levels], trail) or anchors_in(metadata_of(model))


def _cut(model: onnx.ModelProto, levels: Sequence[Level]) -> onnx.ModelProto:
    graph = opened(model)
    tensors = graph.tensors()
    if any(is_late(tensors[name].inputs[0]) for level in levels for name in level.tensors):
        raise ModelError(
            "the channels of the last convolutions are in another order here, since the decode is turned at its end",
            fix="cut the model as it was before turn-late, which polyyolo engine runs",
        )
    image = image_of(inputs_of(model))
    taken = {level.output for level in levels} & set(tensors)
    if taken:
        raise ModelError(f"tensors are called {', '.join(sorted(taken))} already", fix="rename them first")
    graph.outputs = [_output(graph, [tensors[name] for name in level.tensors], level, image.dims) for level in levels]
    return closed(graph, model)


def _output(graph: gs.Graph, maps: list[gs.Variable], level: Level, dims: Sequence[int | str]) -> gs.Variable:
    if len(maps) == 1:
        output = maps[0]
        output.name = level.output
    else:
        output = gs.Variable(level.output)
        graph.nodes.append(
            gs.Node("Concat", name=f"{level.output}_concat", attrs={"axis": 1}, inputs=maps, outputs=[output])
        )
    sides = [dim // level.stride if isinstance(dim, int) else f"{level.output}_{dim}" for dim in dims[2:]]
    output.dtype, output.shape = np.dtype(level.dtype), [dims[0], level.channels, *sides]
    return output


def _notes(levels: Sequence[Level], anchors: Anchors, kind: HeadKind | None) -> tuple[str, ...]:
    maps = ", ".join(f"{level.output} ({level.channels} channels)" for level in levels)
    if kind is HeadKind.V8_RAW:
        return (f"outputs are {maps}",)
    origin = "the anchors are in the metadata" if anchors else "no anchors were found in the decode"
    return (f"outputs are {maps}", origin)
