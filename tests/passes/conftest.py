"""What the tests of passes share: a small YOLOv5, a model run in ONNX Runtime, and seeded pictures."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from polyyolo.models.trail import trail_to
from polyyolo.passes.trial import outputs_for, pictures

SIZES = {8: 8, 16: 4, 32: 2}
ANCHORS = {8: ((10, 13), (16, 30)), 16: ((30, 61), (62, 45)), 32: ((116, 90), (400, 300))}

BRANCH = """
    map{s} = Conv<kernel_shape = [{s}, {s}], strides = [{s}, {s}]>(images, weight{s}, bias{s})
    apart{s} = Reshape(map{s}, apart_shape{s})
    last{s} = Transpose<perm = [0, 1, 3, 4, 2]>(apart{s})
    DECODE
    rows{s} = Reshape(box{s}, rows_shape{s})
"""
BY_SPLIT = """
    sure{s} = Sigmoid(last{s})
    xy{s}, wh{s}, scores{s} = Split<axis = -1>(sure{s}, parts)
    twice{s} = Mul(xy{s}, two)
    moved{s} = Add(twice{s}, grid{s})
    centre{s} = Mul(moved{s}, stride{s})
    double{s} = Mul(wh{s}, two)
    square{s} = Pow(double{s}, two)
    side{s} = Mul(square{s}, anchors{s})
    box{s} = Concat<axis = 4>(centre{s}, side{s}, scores{s})
"""
BY_SLICE = """
    sure{s} = Sigmoid(last{s})
    xy{s} = Slice(sure{s}, from0, from2, axis4)
    wh{s} = Slice(sure{s}, from2, from4, axis4)
    scores{s} = Slice(sure{s}, from4, from7, axis4)
    moved{s} = Sub(xy{s}, grid{s})
    centre{s} = Div(moved{s}, stride{s})
    square{s} = Mul(wh{s}, wh{s})
    side{s} = Mul(anchors{s}, square{s})
    box{s} = Concat<axis = -1>(centre{s}, side{s}, scores{s})
"""


def yolov5(decode=BY_SPLIT, batch="1", *, one_differs=("", ""), outputs="float[{batch},168,7] output0"):
    """A YOLOv5 of two anchors a cell and two classes for 64x64; in the branch of stride 32 something can differ."""
    generator = np.random.default_rng(0)
    indices = {f"from{number}": np.array([number]) for number in (0, 2, 4, 7)}
    constants = {"two": np.float32(2), "parts": np.array([2, 2, 3]), "axis4": np.array([4]), **indices}
    first = int(batch) if batch.isdecimal() else 0
    body = ""
    for stride, side in SIZES.items():
        constants[f"weight{stride}"] = generator.normal(0, 2 / stride, (14, 3, stride, stride)).astype(np.float32)
        constants[f"bias{stride}"] = generator.normal(0, 1, 14).astype(np.float32)
        constants[f"apart_shape{stride}"] = np.array([first, 2, 7, side, side])
        constants[f"rows_shape{stride}"] = np.array([first, 2 * side * side, 7])
        y, x = np.mgrid[:side, :side]
        grid = np.stack([x, y], axis=-1).astype(np.float32) - 0.5
        constants[f"grid{stride}"] = np.broadcast_to(grid, (1, 2, side, side, 2))
        constants[f"stride{stride}"] = np.float32(stride)
        constants[f"anchors{stride}"] = np.array(ANCHORS[stride], np.float32).reshape(1, 2, 1, 1, 2)
        branch = BRANCH.replace("DECODE", decode)
        branch = branch.replace(*one_differs) if stride == 32 else branch
        body += branch.replace("{s}", str(stride))
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    small (float[{batch},3,64,64] images) => ({outputs.format(batch=batch)}) {{
        {body}
        output0 = Concat<axis = 1>(rows8, rows16, rows32)
    }}"""
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        for name, value in constants.items()
    )
    onnx.helper.set_model_props(model, {"names": "{0: 'dark', 1: 'bright'}"})
    onnx.checker.check_model(model, full_check=True)
    return model


def decode_of(model):
    """How often each operator is behind the last convolutions."""
    return dict(Counter(node.op_type for node in trail_to("output0", model.graph.node).between))


def assert_same_bits(infer, before, after, batch):
    for (name, expected), (other, got) in zip(infer(before, batch).items(), infer(after, batch).items(), strict=True):
        assert (name, expected.dtype, expected.shape) == (other, got.dtype, got.shape)
        assert np.array_equal(expected, got)


def outputs_of(model):
    return [value.SerializeToString() for value in model.graph.output]


@pytest.fixture(scope="session")
def infer():
    """Run a model on a batch: output name -> array."""
    onnxruntime.set_default_logger_severity(4)
    return outputs_for


@pytest.fixture(scope="session")
def noise():
    """Make a batch of seeded pictures for a model: (count, C, height, width)."""
    return pictures


@pytest.fixture
def same(infer, noise):
    """Whether two models give the same numbers for one picture, to a millionth of the largest."""

    def check(before: onnx.ModelProto, after: onnx.ModelProto, size=(640, 640)) -> None:
        batch = noise(before, 1, size)
        for expected, got in zip(infer(before, batch).values(), infer(after, batch).values(), strict=True):
            assert expected.shape == got.shape
            assert np.abs(expected - got).max() <= 1e-6 * np.abs(expected).max() + 1e-6

    return check
