"""Outputs that have a family's shape and hold something else are told by what one black picture gives."""

import numpy as np
import onnx
import pytest

from polyyolo.models.reading import load
from polyyolo.models.spec import read_spec
from polyyolo.records import HeadKind

CORNERS = np.array([[1, 0, -0.5, 0], [0, 1, 0, -0.5], [1, 0, 0.5, 0], [0, 1, 0, 0.5]])
"""Centre and size to both corners."""


@pytest.fixture
def ending_in(little_yolo, tmp_path):
    """Let the little YOLOv8 end in more nodes: ``text`` reads ``whole`` (1, 4 + C, N) and gives ``out``."""

    def build(text, dims, **constants):
        model = load(little_yolo)
        (output,) = model.graph.output
        for node in model.graph.node:
            node.output[:] = ["whole" if name == output.name else name for name in node.output]
        arrays = {name: np.asarray(value, np.float32) for name, value in constants.items()}
        model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in arrays.items())
        tail = onnx.parser.parse_graph(f"t (float[1,N,M] whole) => (float{dims} out) {{ {text} }}")
        model.graph.node.extend(tail.node)
        del model.graph.output[:], model.metadata_props[:]
        model.graph.output.extend(tail.output)
        onnx.save(model, tmp_path / "m.onnx")
        return read_spec(tmp_path / "m.onnx").head

    return build


@pytest.fixture
def shape(little_yolo):
    return read_spec(little_yolo).outputs[0].dims


def only_boxes(features, matrix, others=1.0):
    """A square matrix that does something to the boxes, and multiplies the scores."""
    whole = np.eye(features) * others
    whole[:4, :4] = matrix
    return whole


def test_what_it_is_by_itself_is_believed(ending_in, shape):
    assert ending_in("out = Identity(whole)", list(shape)).kind is HeadKind.V8


@pytest.mark.parametrize(
    ("matrix", "scores", "told"),
    [
        (np.eye(4), 1e9, "no chances; export it with the sigmoid"),
        (np.eye(4), -1.0, "no chances; export it with the sigmoid"),
        (np.eye(4) / 64, 1.0, "boxes in shares of the picture"),
        (CORNERS, 1.0, "but corners of boxes"),
    ],
)
def test_other_numbers_in_the_same_shape_are_no_yolov8(ending_in, shape, matrix, scores, told):
    head = ending_in("out = MatMul(matrix, whole)", list(shape), matrix=only_boxes(shape[1], matrix, scores))

    assert head.kind is HeadKind.NONE
    assert told in head.why


def test_yolov8_with_boxes_before_features_is_not_taken_for_yolov5_where_nothing_names_its_classes(models, tmp_path):
    model = load(models / "yolov8n-640.onnx")
    model.graph.node.append(onnx.helper.make_node("Transpose", ["output0"], ["turned"], perm=[0, 2, 1]))
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.FLOAT, [1, 8400, 84]))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "m.onnx")

    head = read_spec(tmp_path / "m.onnx").head

    assert head.kind is HeadKind.NONE
    assert "YOLOv8's output with boxes before features" in head.why


def test_who_says_what_it_is_is_believed(ending_in, shape, tmp_path):
    ending_in("out = MatMul(matrix, whole)", list(shape), matrix=only_boxes(shape[1], np.eye(4) / 64))

    assert read_spec(tmp_path / "m.onnx", head=HeadKind.V8).head.kind is HeadKind.V8
