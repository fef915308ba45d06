"""Boxes are read from every head family, and the families agree with each other."""

import math

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo.errors import ModelError
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.sources import find_pictures
from polyyolo.models.spec import load, read_spec
from polyyolo.passes import cut_decode
from polyyolo.records import Head, HeadKind
from polyyolo.verification.decode import decode, scores_of_cells
from polyyolo.verification.inference import EVALUATION, Runner, batches, find

V5 = Head(HeadKind.V5, classes=3, outputs=("out",))
V8 = Head(HeadKind.V8, classes=3, outputs=("out",))
CORNERS = Head(HeadKind.CORNERS, classes=3, outputs=("boxes", "scores"))
END = Head(HeadKind.END_TO_END, classes=3, outputs=("out",))
ANCHORS = ((10.0, 14.0), (23.0, 27.0))


def raw_head(kind, scale_xy=()):
    return Head(kind, classes=3, outputs=("map",), strides=(16,), anchors=(ANCHORS,), scale_xy=scale_xy)


def test_v5_multiplies_objectness_with_the_class_and_gives_corners():
    rows = np.zeros((1, 4, 8), np.float32)
    rows[0, 1] = [100, 60, 20, 10, 0.8, 0.1, 0.9, 0.2]
    rows[0, 2] = [50, 50, 10, 10, 0.3, 0.9, 0.1, 0.1]
    rows[0, 3] = [50, 50, 10, 10, 0.2, 1.0, 1.0, 1.0]

    (boxes,) = decode({"out": rows}, V5, confidence=0.25)

    np.testing.assert_allclose(boxes.xyxy, [[90, 55, 110, 65], [45, 45, 55, 55]])
    np.testing.assert_allclose(boxes.scores, [0.72, 0.27], rtol=1e-6)
    assert boxes.classes.tolist() == [1, 0]


def test_v8_has_no_objectness_and_its_boxes_stand_in_columns():
    columns = np.zeros((1, 7, 5), np.float32)
    columns[0, :, 3] = [100, 60, 20, 10, 0.1, 0.2, 0.7]

    (boxes,) = decode({"out": columns}, V8)

    np.testing.assert_allclose(boxes.xyxy, [[90, 55, 110, 65]])
    np.testing.assert_allclose(boxes.scores, [0.7])
    assert boxes.classes.tolist() == [2]


@pytest.mark.parametrize("swapped", ["", "boxes", "scores"])
def test_corners_and_scores_are_read_from_two_outputs_of_either_layout(swapped):
    boxes, scores = np.zeros((2, 5, 4), np.float32), np.zeros((2, 5, 3), np.float32)
    boxes[1, 3], scores[1, 3] = [90, 55, 110, 65], [0.1, 0.2, 0.7]
    outputs = {"boxes": boxes, "scores": scores}
    outputs |= {name: outputs[name].swapaxes(1, 2) for name in outputs if name == swapped}

    nothing, found = decode(outputs, CORNERS)

    assert len(nothing) == 0
    np.testing.assert_allclose(found.xyxy, [[90, 55, 110, 65]])
    assert (found.classes.tolist(), found.scores.tolist()) == ([2], [np.float32(0.7)])


def test_scores_of_other_classes_beside_corners_are_refused():
    with pytest.raises(ModelError, match=r"'scores' has shape \(1, 5, 2\), which is no corners head of 3 classes"):
        decode({"boxes": np.zeros((1, 5, 4)), "scores": np.zeros((1, 5, 2))}, CORNERS)


@pytest.mark.parametrize(("head", "values"), [(V5, [100, 60, 20, 10, 1]), (V8, [100, 60, 20, 10])])
def test_what_follows_the_class_scores_is_not_taken_for_scores(head, values):
    """Keypoints are pixels, far above any score."""
    rows = np.array([[[*values, 0.1, 0.2, 0.7, 300, 200, 1]]], np.float32)
    output = rows if head is V5 else rows.transpose(0, 2, 1)

    (boxes,) = decode({"out": output}, evolve(head, extras=3), multi_label=True)
    with pytest.raises(ModelError, match="3 classes"):
        decode({"out": output}, head)

    np.testing.assert_allclose(boxes.xyxy, [[90, 55, 110, 65]])
    assert (boxes.classes.tolist(), boxes.scores.round(3).tolist()) == ([2], [np.float32(0.7).round(3)])


def test_multi_label_makes_a_box_of_every_class_above_the_confidence():
    columns = np.zeros((1, 7, 1), np.float32)
    columns[0, :, 0] = [100, 60, 20, 10, 0.4, 0.2, 0.7]

    (every,) = decode({"out": columns}, V8, multi_label=True)
    (best,) = decode({"out": columns}, V8)

    assert every.classes.tolist() == [0, 2]
    assert best.classes.tolist() == [2]


def test_end_to_end_rows_are_boxes_already_and_rows_of_score_0_are_padding():
    rows = np.zeros((2, 3, 6), np.float32)
    rows[1, 0] = [1, 2, 30, 40, 0.6, 2]

    nothing, one = decode({"out": rows}, END)

    assert len(nothing) == 0
    assert one.xyxy.tolist() == [[1, 2, 30, 40]]
    assert one.classes.tolist() == [2]


def test_shares_of_the_picture_are_read_as_pixels():
    head = Head(HeadKind.CORNERS, classes=2, outputs=("boxes", "scores"), picture=(100, 200))
    boxes = np.array([[[[0.1, 0.2, 0.5, 0.6]]]], np.float32)

    (found,) = decode({"boxes": boxes, "scores": np.array([[[0.1, 0.9]]])}, head)

    assert found.xyxy.tolist() == [pytest.approx([20, 20, 100, 60])]
    assert found.classes.tolist() == [1]


def test_rows_of_the_best_class_are_read_with_its_number_and_scored_cell_by_cell():
    head = evolve(END, kind=HeadKind.BEST_CLASS)
    rows = np.array([[[1, 2, 30, 40, 0.6, 79], [1, 2, 31, 41, 0.5, 79], [0, 0, 9, 9, 0.1, 0]]], np.float32)

    (boxes,) = decode({"out": rows}, head)

    assert (boxes.xyxy.tolist(), boxes.classes.tolist()) == ([[1, 2, 30, 40], [1, 2, 31, 41]], [79, 79])
    assert scores_of_cells({"out": rows}, head).tolist() == [pytest.approx([each]) for each in (0.6, 0.5, 0.1)]


def test_boxes_that_a_model_chose_may_come_in_four_outputs_of_which_the_first_counts_them():
    head = evolve(END, outputs=("number", "boxes", "scores", "classes"))
    boxes = np.array([[[1, 2, 30, 40], [5, 6, 7, 8]], [[0, 0, 9, 9], [1, 1, 2, 2]]], np.float16)
    scores = np.array([[0.6, 0.5], [0.7, 0.4]], np.float32)
    outputs = {"number": np.array([[1], [2]], np.int32), "boxes": boxes, "scores": scores}

    one, two = decode(outputs | {"classes": np.array([[2, 1], [0, 79]], np.int32)}, head)

    assert (one.xyxy.tolist(), one.classes.tolist()) == ([[1, 2, 30, 40]], [2])
    assert (two.scores.tolist(), two.classes.tolist()) == (pytest.approx([0.7, 0.4]), [0, 79])

    with pytest.raises(ModelError, match="no end-to-end head"):
        decode(outputs | {"classes": np.zeros((2, 2, 1))}, head)


def test_what_follows_the_class_of_end_to_end_rows_is_not_read():
    rows = np.array([[[1, 2, 30, 40, 0.6, 2, 7, 8]]], np.float32)

    (boxes,) = decode({"out": rows}, evolve(END, extras=2))

    assert (boxes.xyxy.tolist(), boxes.classes.tolist()) == ([[1, 2, 30, 40]], [2])


@pytest.mark.parametrize("label", [-1, np.nan, np.inf, -np.inf, 1e30])
def test_end_to_end_rows_of_a_class_that_cannot_be_are_padding_too(label):
    rows = np.zeros((1, 3, 6), np.float32)
    rows[0, :2] = [[1, 2, 30, 40, 0.9, label], [1, 2, 30, 40, 0.6, 7]]

    (boxes,) = decode({"out": rows}, END)

    assert boxes.classes.tolist() == [7], "it may have more classes than names"


@pytest.mark.parametrize(("kind", "scale"), [(HeadKind.V5_RAW, ()), (HeadKind.DARKNET_RAW, (1.05,))])
def test_raw_maps_follow_the_rule_of_their_family_cell_by_cell(kind, scale):
    rng = np.random.default_rng(0)
    stack = rng.normal(0, 1.5, (2, 2 * 8, 3, 4)).astype(np.float32)

    decoded = decode({"map": stack}, raw_head(kind, scale), confidence=0.3, multi_label=True)

    for picture, boxes in zip(stack, decoded, strict=True):
        wanted = sorted(by_hand(picture.reshape(2, 8, 3, 4), kind, *scale))
        found = sorted(zip(boxes.classes, boxes.scores, *boxes.xyxy.T, strict=True), key=lambda row: (row[0], row[1]))
        assert len(wanted) > 5
        np.testing.assert_allclose(np.array(found, float), np.array(wanted), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", [HeadKind.V5_RAW, HeadKind.DARKNET_RAW])
def test_raw_maps_take_a_confidence_of_0_and_of_1(kind):
    stack = np.random.default_rng(0).normal(0, 1.5, (1, 2 * 8, 3, 4)).astype(np.float32)

    (every,) = decode({"map": stack}, raw_head(kind), confidence=0)
    (none,) = decode({"map": stack}, raw_head(kind), confidence=1)

    assert (len(every), len(none)) == (2 * 3 * 4, 0)


def by_hand(maps, kind, scale=1.0):
    """The families' rules one cell at a time, as their papers tell them."""
    for anchor, row, column in np.ndindex(2, 3, 4):
        logits = maps[anchor, :, row, column].astype(float)
        x, y, w, h, objectness, *classes = (1 / (1 + math.exp(-value)) for value in logits)
        if kind is HeadKind.V5_RAW:
            centre = ((2 * x - 0.5 + column) * 16, (2 * y - 0.5 + row) * 16)
            size = ((2 * w) ** 2 * ANCHORS[anchor][0], (2 * h) ** 2 * ANCHORS[anchor][1])
        else:
            centre = ((x * scale - (scale - 1) / 2 + column) * 16, (y * scale - (scale - 1) / 2 + row) * 16)
            size = (math.exp(logits[2]) * ANCHORS[anchor][0], math.exp(logits[3]) * ANCHORS[anchor][1])
        corners = [middle + sign * side / 2 for sign in (-1, 1) for middle, side in zip(centre, size, strict=True)]
        yield from (
            (label, objectness * chance, *corners) for label, chance in enumerate(classes) if objectness * chance > 0.3
        )


@pytest.mark.parametrize("bins", [1, 5])
def test_yolov8s_raw_maps_give_the_mean_distance_to_each_side(bins):
    rng = np.random.default_rng(0)
    stack = rng.normal(0, 1.5, (2, 4 * bins + 3, 3, 4)).astype(np.float32)
    head = Head(HeadKind.V8_RAW, classes=3, outputs=("map",), strides=(16,), bins=bins)

    decoded = decode({"map": stack}, head, confidence=0.3, multi_label=True)

    for picture, boxes in zip(stack, decoded, strict=True):
        wanted = sorted(v8_by_hand(picture, bins))
        found = sorted(zip(boxes.classes, boxes.scores, *boxes.xyxy.T, strict=True), key=lambda row: (row[0], row[1]))
        assert len(wanted) > 5
        np.testing.assert_allclose(np.array(found, float), np.array(wanted), rtol=1e-4, atol=1e-3)


def v8_by_hand(map_, bins):
    """The rule of "Generalized Focal Loss" one cell at a time: left, top, right, bottom, in cells from the middle."""
    for row, column in np.ndindex(3, 4):
        values = map_[:, row, column].astype(float)
        sides = []
        for logits in np.split(values[: 4 * bins], 4):
            chances = [math.exp(logit) / sum(map(math.exp, logits)) for logit in logits]
            sides.append(logits[0] if bins == 1 else sum(index * chance for index, chance in enumerate(chances)))
        left, top, right, bottom = sides
        x, y = column + 0.5, row + 0.5
        corners = [16 * each for each in (x - left, y - top, x + right, y + bottom)]
        scores = [1 / (1 + math.exp(-value)) for value in values[4 * bins :]]
        yield from ((label, score, *corners) for label, score in enumerate(scores) if score > 0.3)


def test_maps_of_yolov8_with_other_channels_are_refused():
    head = Head(HeadKind.V8_RAW, classes=3, outputs=("map",), strides=(16,), bins=4)

    with pytest.raises(ModelError, match="no v8-raw head of 3 classes"):
        decode({"map": np.zeros((1, 20, 3, 4), np.float32)}, head)


def test_yolox_rows_are_cells_line_by_line_from_the_finest_stride_to_the_coarsest():
    cells = ((2, 3), (1, 2))
    head = Head(HeadKind.YOLOX_RAW, classes=2, outputs=("out",), strides=(8, 16), cells=cells)
    values = np.random.default_rng(0).normal(0, 1, (1, 8, 7)).astype(np.float32)
    values[..., 4:] = 0.9

    (boxes,) = decode({"out": values}, head)

    places = [
        (x, y, s)
        for (rows, columns), s in zip(cells, (8, 16), strict=True)
        for y in range(rows)
        for x in range(columns)
    ]
    for box, (x, y, stride), row in zip(boxes.xyxy, places, values[0], strict=True):
        across, down = (row[0] + x) * stride, (row[1] + y) * stride
        width, height = math.exp(row[2]) * stride, math.exp(row[3]) * stride
        wanted = [across - width / 2, down - height / 2, across + width / 2, down + height / 2]
        np.testing.assert_allclose(box, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(boxes.scores, 0.81, rtol=1e-6)


def test_yolox_rows_of_another_size_are_refused_with_both_counts():
    head = Head(HeadKind.YOLOX_RAW, classes=2, outputs=("out",), strides=(8,), cells=((2, 3),))

    with pytest.raises(ModelError, match="has 8 rows, and 6 cells were told from the model"):
        decode({"out": np.zeros((1, 8, 7), np.float32)}, head)

    assert decode({"out": np.zeros((1, 8, 7), np.float32)}, head.at((16, 32)))[0].scores.size == 0
    assert V5.at((16, 32)) == V5


def test_yolox_that_decodes_itself_is_read_like_yolov5():
    rows = np.zeros((1, 4, 8), np.float32)
    rows[0, 1] = [100, 60, 20, 10, 0.8, 0.1, 0.9, 0.2]

    (boxes,) = decode({"out": rows}, Head(HeadKind.YOLOX, 3, ("out",), cells=((2, 2),)))

    np.testing.assert_allclose(boxes.xyxy, [[90, 55, 110, 65]])
    np.testing.assert_allclose(boxes.scores, [0.72], rtol=1e-6)


def test_five_dimensional_maps_give_the_same_as_four_dimensional_ones():
    stack = np.random.default_rng(1).normal(0, 2, (1, 16, 3, 4)).astype(np.float32)
    by_cell = stack.reshape(1, 2, 8, 3, 4).transpose(0, 1, 3, 4, 2)

    (four,) = decode({"map": stack}, raw_head(HeadKind.V5_RAW))
    (five,) = decode({"map": by_cell}, raw_head(HeadKind.V5_RAW))

    assert len(four) > 0
    np.testing.assert_array_equal(four.xyxy, five.xyxy)


def test_boxes_that_overflow_or_are_no_numbers_are_dropped():
    """A model cast to FP16 can overflow: such boxes have no place, and must not drag the others along."""
    rows = np.zeros((1, 3, 8), np.float32)
    rows[0, :, 4:6] = 1
    rows[0, :, :4] = [[np.inf, 1, 1, 1], [1, 1, np.nan, 1], [10, 10, 4, 4]]

    (boxes,) = decode({"out": rows}, V5)

    assert boxes.xyxy.tolist() == [[8, 8, 12, 12]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.inf, -np.inf, 3e38])
def test_boxes_that_overflow_are_dropped_without_a_warning(value):
    boxes = np.array([[[value] * 4, [8, 8, 12, 12]]], np.float32)
    scores = np.full((1, 2, 3), 0.7, np.float32)

    (centred,) = decode({"out": np.concatenate([boxes, scores], axis=2).swapaxes(1, 2)}, V8)
    (cornered,) = decode({"boxes": boxes, "scores": scores}, CORNERS)

    assert (centred.xyxy.tolist(), cornered.xyxy.tolist()) == ([[2, 2, 14, 14]], [[8, 8, 12, 12]])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("logarithm", [88, 800])
def test_yolox_boxes_larger_than_any_number_are_dropped_without_a_warning(logarithm):
    """e^88 is a number, 8 times that is none in float32."""
    head = Head(HeadKind.YOLOX_RAW, classes=1, outputs=("out",), strides=(8,), cells=((1, 2),))
    rows = np.array([[[0, 0, logarithm, 0, 1, 1], [0, 0, 0, 0, 1, 1]]], np.float32)

    (boxes,) = decode({"out": rows}, head)

    assert boxes.xyxy.tolist() == [[4, -4, 12, 4]]


@pytest.mark.parametrize("multi_label", [False, True])
def test_boxes_with_an_infinite_score_are_dropped(multi_label):
    """They would stand above all others, and JSON has no word for them."""
    columns = np.zeros((1, 7, 2), np.float32)
    columns[0, :, 0] = [100, 60, 20, 10, np.inf, 0, 0]
    columns[0, :, 1] = [100, 60, 20, 10, 0.7, 0, 0]
    rows = np.array([[[1, 2, 30, 40, np.inf, 2], [1, 2, 30, 40, 0.6, 2]]], np.float32)

    (in_columns,) = decode({"out": columns}, V8, multi_label=multi_label)
    (in_rows,) = decode({"out": rows}, END)

    np.testing.assert_allclose([*in_columns.scores, *in_rows.scores], [0.7, 0.6])


def test_float16_outputs_are_read_in_float32():
    rows = np.zeros((1, 1, 8), np.float16)
    rows[0, 0] = [600.5, 600.5, 3, 3, 1, 1, 0, 0]

    (boxes,) = decode({"out": rows}, V5)

    assert boxes.xyxy.tolist() == [[599, 599, 602, 602]]


@pytest.mark.parametrize(
    ("head", "values"),
    [
        (V8, [0.1, 0.9, 9, 9, 30, 60, 50]),
        (END, [3, 0.9, 10, 20, 30, 40]),  # class and score first
    ],
    ids=["boxes last", "class first"],
)
def test_a_score_that_is_no_chance_is_refused(head, values):
    array = np.array([values], np.float32)

    with pytest.raises(ModelError, match="where chances from 0 to 1 should be"):
        decode({"out": array[..., None] if head is V8 else array[None]}, head)


def test_a_model_without_a_head_is_refused():
    with pytest.raises(ModelError, match="no YOLO head was recognised"):
        decode({"out": np.zeros((1, 10))}, Head(HeadKind.NONE))


@pytest.mark.parametrize("shape", [(1, 25, 9), (25, 8), (1, 8, 25)])
def test_an_output_of_another_shape_is_refused_with_its_shape(shape):
    with pytest.raises(ModelError) as error:
        decode({"out": np.zeros(shape, np.float32)}, V5)

    assert str(shape) in error.value.message
    assert "v5 head of 3 classes" in error.value.message


@pytest.mark.parametrize("name", ["yolov5s-640", "yolov8n-640"])
def test_what_cut_decode_leaves_decodes_to_what_the_model_itself_gives(models, val, tmp_path, name):
    decoded, raw = models / f"{name}.onnx", tmp_path / "raw.onnx"
    onnx.save(cut_decode.run(load(decoded)).model, raw)

    assert_same_boxes(decoded, raw, val)


def test_the_three_raw_heads_of_yolov5s_decode_to_what_the_decoded_model_gives(models, val):
    assert_same_boxes(models / "yolov5s-640.onnx", models / "yolov5s-640-3head.onnx", val)


def assert_same_boxes(one, other, val):
    pictures = find_pictures(val / "images")[:2]
    found = {}
    for path in (one, other):
        spec = read_spec(path)
        with Runner(spec) as runner:
            stream = batches(pictures, preprocessing_for(spec, (640, 640)), 1, "infer")
            found[path] = [find(runner.infer(tensors), spec.head, fits, EVALUATION)[0] for tensors, fits in stream]

    for decoded, raw in zip(*found.values(), strict=True):
        assert len(decoded) == len(raw) > 5
        np.testing.assert_array_equal(decoded.classes, raw.classes)
        np.testing.assert_allclose(decoded.scores, raw.scores, atol=1e-5)
        np.testing.assert_allclose(decoded.xyxy, raw.xyxy, atol=0.05)
