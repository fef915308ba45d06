"""TensorRT's NMS plugin in ONNX's own operators: what ONNX Runtime is given in the place of EfficientNMS_TRT.

Models that were exported for TensorRT often end in it, YOLOv7's among them. TensorRT takes that node as it is. ONNX
Runtime, which calibrates and predicts, does not know it: so each becomes a function within the model that it loads, and
no file is changed. What the plugin does is in its README (NVIDIA/TensorRT, plugin/efficientNMSPlugin). The plugin looks
at the best 4,096 candidates of a picture, the function at all of them.
"""

from pathlib import Path

import onnx
from attrs import NOTHING, fields_dict, frozen
from onnx import TensorProto

from polyyolo.errors import ModelError
from polyyolo.models.reading import graphs_of, load, opset_of, parse

NMS_PLUGIN = "EfficientNMS_TRT"
_DOMAIN = "polyyolo"
_FUNCTIONS_IR = 8
"""The first format version in which a model may have functions of its own."""

_FUNCTION = """
<domain: "polyyolo", opset_import: ["": {opset}]>
{name} (given_boxes, given_scores) => (number, boxes, scores, classes) {{
    zero = Constant <value = int64[1] {{0}}> ()
    one = Constant <value = int64[1] {{1}}> ()
    two = Constant <value = int64[1] {{2}}> ()
    three = Constant <value = int64[1] {{3}}> ()
    four = Constant <value = int64[1] {{4}}> ()
    rows = Constant <value = int64[1] {{{rows}}}> ()
    score_threshold = Constant <value = float[1] {{{score_threshold:.9f}}}> ()
    iou_threshold = Constant <value = float[1] {{{iou_threshold:.9f}}}> ()

    read_boxes = Cast <to = 1> (given_boxes)
    read_scores = Cast <to = 1> (given_scores)
    chances = {activation} (read_scores)
    {corners}
    {by_class}
    found = NonMaxSuppression (corners, by_class, rows, iou_threshold, score_threshold)

    picture = Slice (found, zero, one, one)
    box = Slice (found, two, three, one)
    place = Concat <axis = 1> (picture, box)
    found_boxes = GatherND (corners, place)
    found_scores = GatherND (by_class, found)
    {class_column}
    row = Constant <value = int64[1] {{-1}}> ()
    found_classes = Reshape (class_column, row)

    first = Constant <value = int64 {{0}}> ()
    step = Constant <value = int64 {{1}}> ()
    shape = Shape (read_boxes)
    count = Gather (shape, first)
    pictures = Range (first, count, step)
    is_own = Equal (picture, pictures)
    column = Constant <value = int64[2] {{-1, 1}}> ()
    of_found = Reshape (found_scores, column)
    below_all = Constant <value = float {{-1}}> ()
    own_scores = Where (is_own, of_found, below_all)
    one_a_picture = Slice (shape, zero, one)
    filling_shape = Concat <axis = 0> (rows, one_a_picture)
    filling = Expand (below_all, filling_shape)
    candidates = Concat <axis = 0> (own_scores, filling)
    top_scores, top = TopK <axis = 0> (candidates, rows)
    best_scores = Transpose <perm = [1, 0]> (top_scores)
    best = Transpose <perm = [1, 0]> (top)

    nought = Constant <value = float {{0}}> ()
    no_boxes_shape = Concat <axis = 0> (rows, four)
    no_boxes = Expand (nought, no_boxes_shape)
    all_boxes = Concat <axis = 0> (found_boxes, no_boxes)
    best_boxes = Gather <axis = 0> (all_boxes, best)
    boxes = Cast <to = {box_type}> (best_boxes)

    no_classes = Expand (first, rows)
    all_classes = Concat <axis = 0> (found_classes, no_classes)
    best_classes = Gather <axis = 0> (all_classes, best)
    classes = Cast <to = 6> (best_classes)

    is_missing = Less (best_scores, nought)
    kept_scores = Where (is_missing, nought, best_scores)
    scores = Cast <to = {score_type}> (kept_scores)
    is_there = Not (is_missing)
    ones_there = Cast <to = 1> (is_there)
    unity = Constant <value = float {{1}}> ()
    ones_shape = Concat <axis = 0> (rows, one)
    ones = Expand (unity, ones_shape)
    sum = MatMul (ones_there, ones)
    number = Cast <to = 6> (sum)
}}
"""
"""NMS over boxes (B, N, 4) and scores (B, N, C).

What it finds on all pictures is one list, of which each picture takes its best; there, what was found on others has a
score of -1, and so have the rows that fill up the outputs.
"""
_CORNERS = "corners = Identity (read_boxes)"
_CORNERS_OF_CENTRES = """
    centre = Slice (read_boxes, zero, two, two)
    size = Slice (read_boxes, two, four, two)
    half = Constant <value = float {0.5}> ()
    reach = Mul (size, half)
    low = Sub (centre, reach)
    high = Add (centre, reach)
    corners = Concat <axis = 2> (low, high)
"""
_EACH_CLASS = "by_class = Transpose <perm = [0, 2, 1]> (chances)"
_BEST_CLASS = """
    best_chance, best_class = TopK <axis = 2> (chances, one)
    by_class = Transpose <perm = [0, 2, 1]> (best_chance)
"""
_CLASS_OF_EACH = "class_column = Slice (found, one, two, one)"
_CLASS_OF_BEST = "class_column = GatherND (best_class, place)"


@frozen
class _Options:
    """A node's attributes, by the plugin's names; TensorRT makes no plugin without those that have no default here."""

    score_threshold: float
    iou_threshold: float
    max_output_boxes: int
    background_class: int
    score_activation: int
    box_coding: int
    class_agnostic: int = 0


def has_nms_plugin(path: Path) -> bool:
    """Whether a model file holds the plugin, understood here or not.

    Raises:
        ModelError: no such file, or not an ONNX.
    """
    return any(node.op_type == NMS_PLUGIN for graph in graphs_of(parse(path).graph) for node in graph.node)


def written_out(model: Path | bytes) -> bytes | None:
    """Give a model with functions in the place of the plugin; None where it has none that is understood.

    Args:
        model: a file, or a serialized model.

    Raises:
        ModelError: a file that is no usable ONNX, or a plugin of which TensorRT would make nothing.
    """
    loaded = load(model) if isinstance(model, Path) else onnx.load_model_from_string(model)
    found = [node for graph in graphs_of(loaded.graph) for node in graph.node if _is_understood(node)]
    if not found:
        return None
    values = (*loaded.graph.value_info, *loaded.graph.output)
    declared = {value.name: value.type.tensor_type.elem_type for value in values}
    for number, node in enumerate(found):
        types = [declared.get(name) or TensorProto.FLOAT for name in node.output[1:3]]
        function = _function(f"nms_{number}", _options(node), types, opset_of(loaded))
        loaded.functions.append(function)
        node.op_type, node.domain = function.name, _DOMAIN
        del node.attribute[:]
    loaded.opset_import.add(domain=_DOMAIN, version=1)
    loaded.ir_version = max(loaded.ir_version, _FUNCTIONS_IR)
    return bytes(loaded.SerializeToString())


def _is_understood(node: onnx.NodeProto) -> bool:
    """Whether a node reads boxes and scores, without anchors, and none of its classes is the background."""
    return node.op_type == NMS_PLUGIN and len(node.input) == 2 and _options(node).background_class < 0


def _options(node: onnx.NodeProto) -> _Options:
    given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    known = fields_dict(_Options)
    missing = [name for name, field in known.items() if field.default is NOTHING and name not in given]
    if missing:
        raise ModelError(
            f"the model's {NMS_PLUGIN} lacks {', '.join(missing)}, without which TensorRT makes no such plugin",
            fix="export the model with it (score_activation = 0 where scores are chances already, box_coding = 0 where "
            "boxes are corners), or without NMS",
        )
    return _Options(**{name: given[name] for name in known if name in given})


def _function(name: str, options: _Options, types: list[int], opset: int) -> onnx.FunctionProto:
    """Write a node as a function; ``types`` are ONNX's numbers for those of the boxes and scores that come out.

    Without regard to classes, a box competes with its best class alone: with another it lies on itself.
    """
    text = _FUNCTION.format(
        name=name,
        opset=opset,
        rows=options.max_output_boxes,
        score_threshold=options.score_threshold,
        iou_threshold=options.iou_threshold,
        activation="Sigmoid" if options.score_activation else "Identity",
        corners=_CORNERS_OF_CENTRES if options.box_coding else _CORNERS,
        by_class=_BEST_CLASS if options.class_agnostic else _EACH_CLASS,
        class_column=_CLASS_OF_BEST if options.class_agnostic else _CLASS_OF_EACH,
        box_type=types[0],
        score_type=types[1],
    )
    return onnx.parser.parse_function(text)
