"""``--yolo-images``: pictures instead of random numbers, in the real ``polygraphy run``."""

import pickle
import subprocess
import sys

import numpy as np
import onnx
import pytest
from polygraphy.comparator import RunResults
from polygraphy.json import load_json

from polyyolo.images.letterbox import to_tensor
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.reading import read_picture
from polyyolo.models.spec import read_spec
from polyyolo.plugin.pictures import pictures
from polyyolo.records import HeadKind


def test_the_model_is_fed_the_pictures_with_its_own_preprocessing(
    polygraphy_run, little_yolo, little_pictures, tmp_path
):
    picture = little_pictures / "00.png"
    expected, _ = to_tensor(read_picture(picture), preprocessing_for(read_spec(little_yolo), (64, 64)))

    ran = polygraphy_run(little_yolo, "--onnxrt", "--yolo-images", picture, "--save-inputs", "fed.json")

    assert ran.status == 0, ran.text
    assert "to calibrate with" not in ran.text
    (fed,) = load_json(str(tmp_path / "fed.json"))
    np.testing.assert_array_equal(fed["images"], expected[None])


def yolox(path):
    """The least that is told for YOLOX: three convolutions a stride, a sigmoid, rows of 5 + 3."""
    nodes, weights, rows = [], [onnx.numpy_helper.from_array(np.array([1, 8, -1]), "rows")], []
    for stride in (8, 16, 32):
        parts = []
        for name, channels in (("box", 4), ("object", 1), ("class", 3)):
            parts.append(f"{name}{stride}")
            weight = np.ones((channels, 3, stride, stride), np.float32)
            weights.append(onnx.numpy_helper.from_array(weight, f"{name}{stride}.w"))
            nodes.append(
                onnx.helper.make_node("Conv", ["images", f"{name}{stride}.w"], parts[-1:], strides=[stride] * 2)
            )
        nodes += [
            onnx.helper.make_node("Concat", parts, [f"map{stride}"], axis=1),
            onnx.helper.make_node("Sigmoid", [f"map{stride}"], [f"chance{stride}"]),
            onnx.helper.make_node("Reshape", [f"chance{stride}", "rows"], [f"rows{stride}"]),
        ]
        rows.append(f"rows{stride}")
    nodes += [
        onnx.helper.make_node("Concat", rows, ["all"], axis=2),
        onnx.helper.make_node("Transpose", ["all"], ["output"], perm=[0, 2, 1]),
    ]
    image, output = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)
        for name, dims in (("images", [1, 3, 64, 64]), ("output", [1, 84, 8]))
    )
    graph = onnx.helper.make_graph(nodes, "yolox", [image], [output], weights)
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def test_yolox_is_fed_as_it_was_trained_and_settings_win_over_that(polygraphy_run, little_pictures, tmp_path):
    model, picture = yolox(tmp_path / "yolox.onnx"), little_pictures / "00.png"
    spec = read_spec(model)
    assert spec.head.kind is HeadKind.YOLOX_RAW

    for colour, name in (("bgr", "own"), ("rgb", "asked")):
        asked = {"POLYYOLO_COLOUR": "rgb"} if name == "asked" else {}
        ran = polygraphy_run(model, "--onnxrt", "--yolo-images", picture, "--save-inputs", f"{name}.json", **asked)
        assert ran.status == 0, ran.text
        (fed,) = load_json(str(tmp_path / f"{name}.json"))
        expected, _ = to_tensor(read_picture(picture), preprocessing_for(spec, (64, 64), colour=colour))
        np.testing.assert_array_equal(fed["images"], expected[None])
        assert fed["images"].max() > 1


def test_a_model_that_only_polygraphy_can_read_is_fed_like_yolov5_with_a_warning(
    polygraphy_run, little_pictures, tmp_path
):
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 9]> g (float[1,3,64,64] x) => (float[1,3,64,64] y) { y = Relu(x) }'
    )
    onnx.save(model, tmp_path / "old.onnx")

    ran = polygraphy_run(tmp_path / "old.onnx", "--onnxrt", "--yolo-images", little_pictures, "--yolo-count", 2)

    assert ran.status == 0, ran.text
    assert "uses ONNX opset 9" in ran.text
    assert "the pictures are fed as YOLOv5's" in ran.text


def test_open_axes_take_polygraphys_own_input_shapes(polygraphy_run, little_dynamic, little_pictures, tmp_path):
    ran = polygraphy_run(
        *(little_dynamic, "--onnxrt", "--yolo-images", little_pictures, "--yolo-count", 8),
        *("--input-shapes", "images:[4,3,64,64]", "--save-outputs", "out.json"),
    )

    assert ran.status == 0, ran.text
    ((_, iterations),) = RunResults.load(str(tmp_path / "out.json"))
    assert [iteration["output0"].shape for iteration in iterations] == [(4, 6, 84), (4, 6, 84)]


def test_the_option_wins_over_the_loaders_environment_and_the_rest_of_it_counts(
    polygraphy_run, little_yolo, little_pictures
):
    ran = polygraphy_run(
        *(little_yolo, "--onnxrt", "--yolo-images", little_pictures),
        POLYYOLO_IMAGES="/nowhere",
        POLYYOLO_COUNT=5,
        POLYYOLO_COUNT_FILE="fed.json",
    )

    assert ran.status == 0, ran.text
    assert "Iteration: 4" in ran.text
    assert "Iteration: 5" not in ran.text


def test_pictures_can_be_sent_to_another_process(little_yolo, little_pictures):
    """Polygraphy pickles what it feeds, with ``--use-subprocess``."""
    sent = pickle.loads(pickle.dumps(pictures(str(little_pictures), model=str(little_yolo), count="2", size="64")))

    assert len(list(sent)) == 2


def test_a_saved_script_does_what_the_command_did(polygraphy_run, little_yolo, little_pictures, tmp_path):
    words = (little_yolo, "--onnxrt", "--onnxrt", "--yolo-images", little_pictures, "--yolo-count", 3, "--yolo-compare")
    assert polygraphy_run(*words, "--gen-script", "compare.py").status == 0

    done = subprocess.run([sys.executable, tmp_path / "compare.py"], capture_output=True, text=True, check=True)

    assert "Passed: 3/3 iterations" in done.stdout


def test_dimensions_that_polygraphy_leaves_open_are_told_by_the_model(polygraphy_run, little_dynamic, little_pictures):
    words = ("--yolo-images", little_pictures, "--yolo-count", 2, "--input-shapes", "images:[-1,3,64,64]")

    ran = polygraphy_run(little_dynamic, "--onnxrt", *words)

    assert ran.status == 0, ran.text
    assert "shape=(1, 3, 64, 64)" in ran.text


def test_an_open_size_that_nobody_told_is_refused_without_a_traceback(
    polygraphy_run, little_yolo, little_pictures, tmp_path
):
    model = onnx.load(little_yolo)
    for axis, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    onnx.save(model, tmp_path / "open.onnx")

    ran = polygraphy_run(tmp_path / "open.onnx", "--onnxrt", "--yolo-images", little_pictures)

    assert ran.status == 1
    assert "so that height and width must be told" in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--yolo-images", ""), "--yolo-images names nothing"),
        (("--yolo-images", "/nowhere"), "no such file or folder: /nowhere"),
        (("--yolo-count", "4"), "--yolo-count counts the pictures of --yolo-images, which is not there"),
        (("--yolo-images", ".", "--yolo-count", "0"), "argument --yolo-count: 0 is not a whole number above 0"),
        (("--yolo-images", ".", "--yolo-count", "some"), "argument --yolo-count: some is not a whole number above 0"),
        (("--yolo-images", ".", "--iterations", "3"), "--yolo-images says what is fed, and --iterations too"),
        (("--yolo-images", ".", "--val-range", "[0,1]"), "--yolo-images says what is fed, and --val-range too"),
        (("--yolo-images", ".", "--load-inputs", "x.json"), "--yolo-images says what is fed, and --load-inputs too"),
        (("--yolo-images", ".", "--data-loader-script", "x.py"), "and --data-loader-script too"),
    ],
)
def test_each_mistake_is_told_in_one_sentence(polygraphy_run, little_yolo, words, message):
    ran = polygraphy_run(little_yolo, "--onnxrt", *words)

    assert ran.status != 0
    assert message in ran.text
    assert "Traceback" not in ran.text
