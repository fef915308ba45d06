"""Head families told apart by structure, on small networks made for the purpose."""

import json

import numpy as np
import onnx
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.heads import recognise
from polyyolo.records import HeadKind

FLOAT = onnx.TensorProto.FLOAT


class Network:
    """A small network under construction: every map is one convolution of the picture."""

    def __init__(self, height=64, width=64, activation="Sigmoid"):
        self.size, self.nodes, self.weights, self.outputs = (height, width), [], [], []
        self.metadata = {}
        self.conv("images", "stem", 3, 3, kernel=3)
        self.node(activation, ["stem"], "features")

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(onnx.helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name, value, dtype=np.float32):
        self.weights.append(onnx.numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def conv(self, source, output, channels, of, *, kernel=1, stride=1):
        weight = self.constant(f"{output}.w", np.zeros((channels, of, kernel, kernel)))
        pads = [(kernel - 1) // 2, (kernel - 1) // 2, kernel // 2, kernel // 2] if stride == 1 else [0] * 4
        return self.node("Conv", [source, weight], output, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def map(self, stride, channels, name=None):
        return self.conv("features", name or f"map{stride}", channels, 3, kernel=stride, stride=stride)

    def rows(self, strides, channels, features):
        """Flatten and join maps to (1, N, features), then compute with them."""
        flat = []
        for stride in strides:
            shape = self.constant(f"shape{stride}", [1, -1, features], np.int64)
            flat.append(self.node("Reshape", [self.map(stride, channels), shape], f"flat{stride}"))
        return self.node("Concat", flat, "joined", axis=1)

    def chosen(self, rows, count, features, output):
        """Pick the ``count`` rows with the largest feature."""
        best = self.node("ReduceMax", [rows], "best", axes=[2], keepdims=0)
        k = self.constant("count", [count], np.int64)
        self.nodes.append(onnx.helper.make_node("TopK", [best, k], ["top", "index"], axis=1))
        picked = self.node("Unsqueeze", ["index", self.constant("last", [2], np.int64)], "picked")
        shape = self.constant("chosen_shape", [1, count, features], np.int64)
        whole = self.node("Expand", [picked, shape], "whole_rows")
        return self.node("GatherElements", [rows, whole], output, axis=1)

    def model(self, *outputs, **metadata):
        values = [onnx.helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
        image = onnx.helper.make_tensor_value_info("images", FLOAT, [1, 3, *self.size])
        graph = onnx.helper.make_graph(self.nodes, "g", [image], values, initializer=self.weights)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        onnx.helper.set_model_props(model, metadata)
        return model


@pytest.mark.parametrize("classes", [1, 3, 20, 80])
def test_decoded_yolov5_is_told_for_any_number_of_classes(classes):
    network = Network()
    rows = network.rows((8, 16, 32), 3 * (5 + classes), 5 + classes)
    network.node("Mul", [rows, network.constant("two", 2)], "out")

    head = recognise(network.model("out"))

    assert (head.kind, head.classes, head.strides) == (HeadKind.V5, classes, (8, 16, 32))
    assert (
        head.why == f"out has 252 rows of 5 + {classes}, one for each of 3 anchors a cell of strides 8, 16, 32 at 64x64"
    )


@pytest.mark.parametrize("classes", [1, 4, 80])
def test_decoded_yolov8_is_told_for_any_number_of_classes_and_wide_pictures(classes):
    network = Network(96, 320)
    rows = network.rows((8, 16, 32), 4 + classes, 4 + classes)
    network.node(
        "Transpose", [network.node("Mul", [rows, network.constant("two", 2)], "scaled")], "out", perm=[0, 2, 1]
    )

    head = recognise(network.model("out"))

    assert (head.kind, head.classes, head.strides) == (HeadKind.V8, classes, (8, 16, 32))


def test_four_strides_are_told_by_the_number_of_boxes():
    network = Network(128, 128)
    network.node("Mul", [network.rows((8, 16, 32, 64), 3 * 85, 85), network.constant("two", 2)], "out")

    assert recognise(network.model("out")).strides == (8, 16, 32, 64)


@pytest.mark.parametrize("strides", [(4, 8, 16, 32), (8, 16), (8,)])
def test_one_box_a_cell_is_told_before_four_of_coarser_cells(strides):
    """Strides 4 to 32 have four times as many cells as 8 to 64: YOLOv8-p2 is no model of four anchors."""
    network = Network(640, 640)
    scaled = network.node("Mul", [network.rows(strides, 9, 9), network.constant("two", 2)], "scaled")
    network.node("Transpose", [scaled], "out", perm=[0, 2, 1])

    head = recognise(network.model("out"))

    assert (head.kind, head.classes, head.strides) == (HeadKind.V8, 5, strides)


def yolox(network, classes, decode=()):
    """YOLOX's end: three convolutions a stride, sigmoid on two of them, then ``decode`` on all."""
    flat = []
    for stride in (8, 16, 32):
        box = network.map(stride, 4, f"box{stride}")
        chances = [
            network.node("Sigmoid", [network.map(stride, count, f"{name}{stride}")], f"{name}{stride}_chance")
            for name, count in (("object", 1), ("class", classes))
        ]
        joined = network.node("Concat", [box, *chances], f"joined{stride}", axis=1)
        shape = network.constant(f"shape{stride}", [1, 5 + classes, -1], np.int64)
        flat.append(network.node("Reshape", [joined, shape], f"flat{stride}"))
    rows = network.node("Transpose", [network.node("Concat", flat, "joined", axis=2)], "rows", perm=[0, 2, 1])
    for op in decode:
        rows = network.node(op, [rows] if op == "Exp" else [rows, network.constant(op, 2)], f"{rows}_{op}")
    return network.node("Identity", [rows], "out")


@pytest.mark.parametrize("classes", [1, 3, 80])
def test_yolox_is_told_whether_it_decodes_or_not(classes):
    plain, decoded = Network(96, 320), Network(96, 320)

    raw = recognise(plain.model(yolox(plain, classes)))
    in_pixels = recognise(decoded.model(yolox(decoded, classes, ("Exp", "Mul"))))

    assert (raw.kind, in_pixels.kind) == (HeadKind.YOLOX_RAW, HeadKind.YOLOX)
    for head in (raw, in_pixels):
        assert (head.classes, head.outputs, head.strides) == (classes, ("out",), (8, 16, 32))
        assert head.cells == ((12, 40), (6, 20), (3, 10))
        assert head.why.startswith(
            f"out has 630 rows of 5 + {classes}, one for each cell of strides 8, 16, 32 at 96x320"
        )


def test_one_row_a_cell_without_an_exponential_is_yolov6_and_read_like_yolov5():
    network = Network(96, 320)

    assert recognise(network.model(yolox(network, 80, ("Mul", "Add")))).kind is HeadKind.V5


def test_names_that_do_not_fit_make_no_yolox():
    network = Network()

    assert recognise(network.model(yolox(network, 3), names="['cat', 'dog']")).kind is HeadKind.NONE


def test_yolox_can_be_asked_for_where_its_structure_tells_nothing():
    network, other = Network(), Network()
    network.node("Identity", [network.rows((8, 16, 32), 85, 85)], "out")
    other.node("Identity", [other.rows((8, 16, 32), 3 * 85, 85)], "out")

    assert recognise(network.model("out"), head=HeadKind.YOLOX_RAW).kind is HeadKind.YOLOX_RAW
    with pytest.raises(ModelError, match="outputs out 1x252x85 do not fit the head yolox"):
        recognise(other.model("out"), head=HeadKind.YOLOX)


def test_boxes_that_nothing_computed_are_no_decoded_head():
    """The shape is YOLOv5's, the numbers are not pixels."""
    network = Network()
    network.node("Identity", [network.rows((8, 16, 32), 85, 85)], "out")

    assert recognise(network.model("out")).kind is HeadKind.NONE


def test_yolov8_with_its_axes_swapped_is_told_but_not_taken_for_yolov5():
    network = Network(96, 320)
    network.node("Mul", [network.rows((8, 16, 32), 84, 84), network.constant("two", 2)], "out")

    head = recognise(network.model("out", names=str({index: f"c{index}" for index in range(80)})))

    assert head.kind is HeadKind.NONE
    assert "swap its last two axes" in head.why


def test_as_many_rows_as_no_grid_has_are_not_called_yolov8s():
    """RT-DETR's 300 rows have four numbers and the scores, too; swapping their axes would make boxes of a pixel."""
    network = Network(96, 320)
    network.node("Mul", [network.rows((8, 32), 84, 84), network.constant("two", 2)], "out")

    head = recognise(network.model("out", names=str({index: f"c{index}" for index in range(80)})))

    assert (head.kind, head.why) == (HeadKind.NONE, "no YOLO head: the outputs are out 1x510x84")


@pytest.mark.parametrize("boxes", [[1, 252, 4], [1, 252, 1, 4], [1, 4, 252]])
def test_scores_with_boxes_in_another_output_are_no_rows_of_yolov5(boxes):
    """Of 80 classes YOLOv4's from PyTorch are as many numbers as YOLOv5's of 75; here all boxes are one, at 1."""
    network = Network()
    rows = network.rows((8, 16, 32), 3 * 80, 80)
    network.node("Mul", [rows, network.constant("two", 2)], "confs")
    network.node("Expand", [network.constant("one", 1), network.constant("shape", boxes, np.int64)], "boxes")

    head = recognise(network.model("boxes", "confs"))

    assert (head.kind, head.classes) == (HeadKind.NONE, 0)
    assert head.why.startswith("the boxes are in boxes and their scores in confs, but not as corners (B, N, 4)")


def apart(boxes, *, classes=3, swapped=False, chance="Sigmoid", scores_first=False):
    """A head of two outputs for 84 cells, that for boxes as given: parts of one, as cut from YOLOv8's with its DFL."""
    network = Network()
    network.rows((8, 16, 32), 4 + classes, 4 + classes)
    parts = [network.constant(f"part{end}", [end], np.int64) for end in (0, 4, 4 + classes, 2)]
    start, middle, end, axis = parts
    network.node("Slice", ["joined", start, middle, axis], "bins")
    network.node("Mul", [network.node("Softmax", ["bins"], "chances", axis=2), network.constant("zero", 0)], "nothing")
    network.node("Add", ["nothing", network.constant("places", boxes)], "placed")
    network.node("Concat", ["placed", network.node("Slice", ["joined", middle, end, axis], "rest")], "whole", axis=2)
    network.node("Slice", ["whole", start, middle, axis], "boxes")
    network.node("Slice", ["whole", middle, end, axis], "logits")
    network.node(chance, ["logits"], "scores", **({"axis": 2} if chance == "Softmax" else {}))
    names = ["boxes", "scores"]
    if swapped:
        names = [network.node("Transpose", [name], f"{name}_swapped", perm=[0, 2, 1]) for name in names]
    return network.model(*(names[::-1] if scores_first else names))


def centred():
    """The centres of 84 cells, all boxes 20 x 10."""
    cells = [(x, y, t) for t in (8, 16, 32) for y in range(64 // t) for x in range(64 // t)]
    return np.array([[[(x + 0.5) * t, (y + 0.5) * t, 20, 10] for x, y, t in cells]])


def corners():
    boxes = centred()
    return np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], axis=2)


@pytest.mark.parametrize("asked", [None, HeadKind.CORNERS])
@pytest.mark.parametrize("scores_first", [False, True])
@pytest.mark.parametrize(("classes", "swapped"), [(1, False), (3, True), (4, False), (80, True)])
def test_corners_beside_scores_are_told_for_any_number_of_classes(classes, swapped, scores_first, asked):
    """Four classes have as many scores as a box has numbers."""
    model = apart(corners(), classes=classes, swapped=swapped, scores_first=scores_first)

    head = recognise(model, head=asked)

    assert (head.kind, head.classes, head.strides) == (HeadKind.CORNERS, classes, (8, 16, 32))
    assert head.outputs == (("boxes_swapped", "scores_swapped") if swapped else ("boxes", "scores"))


@pytest.mark.parametrize(
    ("boxes", "chance"),
    [(centred(), "Sigmoid"), (centred() / 64, "Sigmoid"), (corners(), "Softmax"), (corners(), "Acos")],
)
def test_other_boxes_or_scores_in_outputs_of_their_own_are_no_corners(boxes, chance):
    """Centres are DETR's, a Softmax SSD's; Acos of 0 is 1.57."""
    assert recognise(apart(boxes, chance=chance)).kind is HeadKind.NONE


@pytest.mark.parametrize("axes", [3, 4])
def test_corners_may_be_shares_of_the_picture(axes):
    """As YOLOv4's from PyTorch, which have an axis more."""
    model = apart(corners() / 64)
    if axes == 4:
        model.graph.node.append(onnx.helper.make_node("Unsqueeze", ["boxes", "part2"], ["boxes_of_one"]))
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2]), "part2"))
        model.graph.output[0].name = "boxes_of_one"

    head = recognise(model)

    assert (head.kind, head.strides, head.picture) == (HeadKind.CORNERS, (8, 16, 32), (64, 64))
    assert head.at((96, 128)).picture == (96, 128)


def test_rows_that_the_model_chose_are_no_cells():
    """RT-DETR for pictures of 64 x 64 with 12 queries: as many as 3 anchors in each of 4 cells."""
    network = Network()
    chosen = network.chosen(network.rows((8, 16, 32), 9, 9), 12, 9, "chosen")
    network.node("Mul", [chosen, network.constant("two", 2)], "out")

    head = recognise(network.model("out"))

    assert (head.kind, head.why) == (HeadKind.NONE, "no YOLO head: the outputs are out 1x12x9")


def test_features_of_a_small_picture_are_not_taken_for_boxes():
    """24 features are also 6 anchors in each of 4 cells of stride 32."""
    network = Network()
    scaled = network.node("Mul", [network.rows((8, 16, 32), 24, 24), network.constant("two", 2)], "scaled")
    network.node("Transpose", [scaled], "out", perm=[0, 2, 1])

    head = recognise(network.model("out", names="['cat', 'dog']"))

    assert (head.kind, head.classes, head.extras, head.strides) == (HeadKind.V8, 2, 18, (8, 16, 32))


def test_a_row_count_that_fits_no_grid_is_a_head_only_where_the_class_names_fit():
    network = Network()
    network.node("Mul", [network.rows((8, 32), 3 * 7, 7), network.constant("two", 2)], "out")

    unnamed = recognise(network.model("out"))
    named = recognise(network.model("out", names="['cat', 'dog']", stride="32"))

    assert unnamed.kind is HeadKind.NONE
    assert (named.kind, named.classes, named.strides) == (HeadKind.V5, 2, (8, 16, 32))


def test_mask_coefficients_are_not_taken_for_classes():
    network = Network()
    network.node("Mul", [network.rows((8, 16, 32), 3 * 40, 40), network.constant("two", 2)], "out")
    network.map(4, 32, "prototypes")

    head = recognise(network.model("out", "prototypes"))

    assert (head.kind, head.classes, head.extras, head.outputs) == (HeadKind.V5, 3, 32, ("out",))
    assert "the last 32 are no classes" in head.why


def test_boxes_that_the_model_chose_itself_are_end_to_end():
    network = Network()
    network.chosen(network.rows((8, 16, 32), 6, 6), 20, 6, "out")

    head = recognise(network.model("out", names="{0: 'cat', 1: 'dog'}"))

    assert (head.kind, head.classes, head.outputs) == (HeadKind.END_TO_END, 2, ("out",))


@pytest.mark.parametrize("strides", [(8, 16, 32), (16, 32)])
def test_corners_best_score_and_its_class_for_every_cell_still_need_nms(strides):
    """As DeepStream-Yolo exports; by their shape alone they could be YOLOv5's of one class."""
    network = Network()
    rows = network.rows(strides, 84, 84)
    ends = [network.constant(f"at{place}", [place], np.int64) for place in (0, 4, 84, 2)]
    boxes = network.node("Slice", [rows, ends[0], ends[1], ends[3]], "boxes")
    chances = network.node("Slice", [rows, ends[1], ends[2], ends[3]], "chances")
    best = network.node("ReduceMax", [chances], "best", axes=[2])
    label = network.node("Cast", [network.node("ArgMax", [chances], "label", axis=2)], "number", to=FLOAT)
    network.node("Concat", [boxes, best, label], "output", axis=2)

    head = recognise(network.model("output"))

    assert (head.kind, head.classes, head.outputs, head.strides) == (HeadKind.BEST_CLASS, 0, ("output",), strides)


@pytest.mark.parametrize(
    ("features", "extras", "metadata"),
    [(38, 32, {}), (57, 51, {"kpt_shape": "[17, 3]"}), (57, None, {"kpt_shape": "[17]"}), (84, None, {})],
)
def test_masks_or_keypoints_behind_boxes_that_the_model_chose_are_known_by_their_number(features, extras, metadata):
    """YOLO26's; RT-DETR's 84 are centre, size and 80 scores."""
    network = Network()
    network.chosen(network.rows((8, 16, 32), features, features), 20, features, "out")
    network.map(4, 32, "prototypes")

    head = recognise(network.model("out", "prototypes", names="['cat', 'dog']", **metadata))

    expected = (HeadKind.NONE, 0) if extras is None else (HeadKind.END_TO_END, extras)
    assert (head.kind, head.extras) == expected


def test_raw_maps_with_leaky_relu_and_a_3x3_stem_are_darknets():
    network = Network(activation="LeakyRelu")
    network.map(32, 21), network.map(16, 21)

    head = recognise(network.model("map32", "map16"))

    assert (head.kind, head.classes, head.strides) == (HeadKind.DARKNET_RAW, 2, (32, 16))
    assert head.anchors[1] == ((10, 14), (23, 27), (37, 58))
    assert head.scale_xy == (1.0, 1.0)
    assert "YOLOv3-tiny's published ones are assumed" in head.why


def test_silu_without_residuals_behind_a_3x3_stem_is_yolov7_with_its_own_anchors():
    network = Network()
    for stride in (8, 16, 32):
        network.map(stride, 21)

    head = recognise(network.model("map8", "map16", "map32"))

    assert (head.kind, head.anchors[0]) == (HeadKind.V5_RAW, ((12, 16), (19, 36), (40, 28)))
    assert "YOLOv7's published ones are assumed: boxes are wrong where it has others" in head.doubt


@pytest.mark.parametrize("strides", [(4, 2), (8, 8)])
def test_maps_of_stride_2_and_two_of_one_stride_are_all_read(strides):
    network = Network()
    for place, stride in enumerate(strides):
        network.map(stride, 2 * 6, f"map{place}")
    anchors = [[[10, 14], [23, 27]], [[81, 82], [135, 169]]]
    metadata = {"head": "darknet-raw", "strides": json.dumps(strides), "anchors": json.dumps(anchors)}

    head = recognise(network.model("map0", "map1", **metadata))

    assert (head.kind, head.strides, head.doubt) == (HeadKind.DARKNET_RAW, strides, "")
    assert head.anchors == (((10, 14), (23, 27)), ((81, 82), (135, 169)))


def test_two_maps_of_one_stride_of_which_nothing_is_known_are_no_head():
    network = Network()
    network.map(8, 12, "a"), network.map(8, 12, "b")

    assert recognise(network.model("a", "b")).kind is HeadKind.NONE


def test_another_output_that_fits_as_well_is_named():
    """As YOLOv9's auxiliary head beside its own."""
    network = Network()
    rows = network.rows((8, 16, 32), 21, 7)
    for name, factor in (("aux", 2), ("main", 3)):
        network.node("Mul", [rows, network.constant(f"{name}_factor", factor)], name)

    head = recognise(network.model("aux", "main"))

    assert head.outputs == ("aux",)
    assert head.doubt.startswith("main may hold the boxes as well as aux, which is read")


def test_three_leaky_maps_without_residuals_have_yolov5s_rule_as_yolov7_tiny_has():
    network = Network(activation="LeakyRelu")
    for stride in (8, 16, 32):
        network.map(stride, 21)

    assert recognise(network.model("map8", "map16", "map32")).kind is HeadKind.V5_RAW


def test_mish_with_residuals_is_yolov4_with_its_own_anchors():
    network = Network(activation="Softplus")
    network.node("Add", ["features", "stem"], "sum")
    for stride in (8, 16, 32):
        network.map(stride, 21)

    head = recognise(network.model("map8", "map16", "map32"))

    assert (head.kind, head.scale_xy) == (HeadKind.DARKNET_RAW, (1.2, 1.1, 1.05))
    assert head.anchors[2] == ((142, 110), (192, 243), (459, 401))


def test_five_dimensional_maps_tell_anchors_and_classes_apart():
    network = Network()
    for stride in (8, 16, 32):
        side = 64 // stride
        shape = network.constant(f"five{stride}", [1, 3, 9, side, side], np.int64)
        five = network.node("Reshape", [network.map(stride, 27), shape], f"five_{stride}")
        network.node("Transpose", [five], f"out{stride}", perm=[0, 1, 3, 4, 2])

    head = recognise(network.model("out8", "out16", "out32"))

    assert (head.kind, head.classes, head.strides) == (HeadKind.V5_RAW, 4, (8, 16, 32))


def test_maps_behind_a_sigmoid_are_not_raw():
    network = Network()
    for stride in (8, 16, 32):
        network.node("Sigmoid", [network.map(stride, 21)], f"out{stride}")

    assert recognise(network.model("out8", "out16", "out32")).kind is HeadKind.NONE


def v8_maps(boxes, classes, *, scores_first=False):
    network = Network()
    for stride in (8, 16, 32):
        maps = [network.map(stride, boxes, f"box{stride}"), network.map(stride, classes, f"class{stride}")]
        network.node("Concat", maps[::-1] if scores_first else maps, f"out{stride}", axis=1)
    return network


@pytest.mark.parametrize(("boxes", "classes", "bins"), [(64, 80, 16), (4, 80, 1), (68, 1, 17)])
def test_joined_box_and_class_maps_are_yolov8s_whatever_else_their_channels_allow(boxes, classes, bins):
    """144 channels could be 3 x (5 + 43); two convolutions lead to each map, and the first has those of the boxes."""
    head = recognise(v8_maps(boxes, classes).model("out8", "out16", "out32"))

    assert (head.kind, head.classes, head.bins) == (HeadKind.V8_RAW, classes, bins)
    assert (head.strides, head.outputs) == ((8, 16, 32), ("out8", "out16", "out32"))
    assert bool(head.doubt) is (bins == 17), "16 is usual, and 1 no distribution"


def test_maps_with_class_scores_before_boxes_are_not_yolov8s():
    names = str([f"c{index}" for index in range(20)])

    head = recognise(v8_maps(64, 20, scores_first=True).model("out8", "out16", "out32", names=names))

    assert head.kind is HeadKind.NONE
    assert "3 maps of 84 channels" in head.why


def test_convolutions_of_other_widths_first_are_not_yolov8s_boxes():
    assert recognise(v8_maps(27, 80).model("out8", "out16", "out32")).kind is HeadKind.NONE


@pytest.mark.parametrize(
    ("channels", "metadata", "bins", "classes"),
    [(28, {"names": str([f"c{index}" for index in range(12)])}, 4, 12), (65, {}, 16, 1)],
)
def test_where_convolutions_do_not_tell_class_names_or_the_usual_number_of_bins_do(channels, metadata, bins, classes):
    network = Network()
    for stride in (8, 16, 32):
        network.map(stride, channels)

    head = recognise(network.model("map8", "map16", "map32", **metadata), head=HeadKind.V8_RAW)

    assert (head.kind, head.bins, head.classes) == (HeadKind.V8_RAW, bins, classes)


def test_maps_with_different_channels_are_a_backbone_and_no_head():
    network = Network()
    network.map(8, 21), network.map(16, 42)

    assert recognise(network.model("map8", "map16")).kind is HeadKind.NONE


def test_metadata_tells_family_anchors_and_scale_and_is_put_in_the_order_of_the_maps():
    network = Network()
    network.map(16, 2 * 7), network.map(32, 2 * 7)
    metadata = {
        "head": "darknet-raw",
        "strides": "[32, 16]",
        "anchors": json.dumps([[[81, 82], [135, 169]], [[10, 14], [23, 27]]]),
        "scale_xy": "[1.1, 1.1]",
    }

    head = recognise(network.model("map16", "map32", **metadata))

    assert (head.kind, head.classes, head.scale_xy) == (HeadKind.DARKNET_RAW, 2, (1.1, 1.1))
    assert head.anchors == (((10, 14), (23, 27)), ((81, 82), (135, 169)))


def test_names_that_belong_to_another_head_do_not_change_the_anchors_a_cell():
    network = Network()
    for stride in (8, 16, 32):
        network.map(stride, 255)

    head = recognise(network.model("map8", "map16", "map32", names=str([f"c{index}" for index in range(10)])))

    assert (head.kind, head.classes, len(head.anchors[0])) == (HeadKind.V5_RAW, 80, 3)


def test_raw_maps_whose_anchors_nobody_knows_are_not_decoded():
    network = Network(128, 128)
    for stride in (32, 64):
        network.map(stride, 21)

    head = recognise(network.model("map32", "map64"))

    assert head.kind is HeadKind.NONE
    assert "write them into the metadata under 'anchors'" in head.why


def test_metadata_that_no_longer_fits_the_outputs_is_not_believed():
    network = Network()
    network.node("Mul", [network.rows((8, 16, 32), 21, 7), network.constant("two", 2)], "out")

    assert recognise(network.model("out", head="v5-raw")).kind is HeadKind.V5


def test_decoded_boxes_are_preferred_to_the_raw_maps_beside_them():
    network = Network()
    network.node("Mul", [network.rows((8, 16, 32), 21, 7), network.constant("two", 2)], "out")

    head = recognise(network.model("out", "map8", "map16", "map32"))

    assert (head.kind, head.outputs) == (HeadKind.V5, ("out",))


def test_a_map_of_four_channels_beside_scores_is_no_row_of_corners():
    """4 x 20 x 20 numbers are four for each of 400 scores, and yet a map."""
    network = Network(160, 160)
    flat = network.node("Reshape", [network.map(8, 3, "seen"), network.constant("rows", [1, 3, -1], np.int64)], "flat")
    turned = network.node("Transpose", [flat], "turned", perm=[0, 2, 1])
    network.node("Sigmoid", [turned], "scores")
    network.map(8, 4, "boxes")

    assert recognise(network.model("boxes", "scores")).kind is HeadKind.NONE
