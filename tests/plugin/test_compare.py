"""``--yolo-compare``: boxes instead of numbers, with Polygraphy's exit status."""

import numpy as np
import onnx
import pytest
from polygraphy.comparator import IterationResult
from polygraphy.exception import PolygraphyException

from polyyolo import pipeline
from polyyolo.plugin.boxes import BoxCompareFunc, Together
from polyyolo.records import SAME_BOX, Limits, Request
from polyyolo.verification.boxes import Boxes

RELU = """<ir_version: 8, opset_import: ["" : 17]>
relu (float[1,3,64,64] images) => (float[1,3,64,64] y) {
    y = Relu(images)
}"""


@pytest.fixture(scope="module")
def int8(models, train, tmp_path_factory):
    """yolov4-tiny with Q/DQ nodes, quickly calibrated on 8 pictures."""
    folder = tmp_path_factory.mktemp("int8")
    asked = Request(
        model=str(models / "yolov4-tiny-416.onnx"),
        images=train / "images",
        count=8,
        keep_float=("stem",),
        toolchain="none",
        output=folder,
    )
    return pipeline.engine(asked).folder / "model.int8.onnx"


def test_int8_is_held_against_fp32_by_boxes_and_fails_below_the_limit(polygraphy_run, models, val, int8):
    """Numbers differ by more than Polygraphy's 1e-5 everywhere, while nine boxes of ten are the same."""
    pictures = ("--yolo-images", val / "images", "--yolo-count", 12)
    fp32 = polygraphy_run(models / "yolov4-tiny-416.onnx", "--onnxrt", *pictures, "--save-outputs", "fp32")
    against = (int8, "--onnxrt", *pictures, "--load-outputs", "fp32")

    by_numbers = polygraphy_run(*against)
    by_boxes = polygraphy_run(*against, "--yolo-compare", 0.5)
    by_strict_boxes = polygraphy_run(*against, "--yolo-compare", 0.95, "--yolo-min-agreement", 1)

    assert (fp32.status, by_numbers.status, by_boxes.status, by_strict_boxes.status) == (0, 1, 0, 1)
    f1 = float(by_boxes.boxes.split()[1])
    assert 0.9 < f1 <= 1
    assert by_boxes.boxes.startswith(f"F1 {f1:.4f} at IoU 0.5, 0.9 wanted: ")
    assert "FAILED" in by_strict_boxes.text


def boxes(*corners: tuple[int, int, int, int]) -> Boxes:
    found = np.array(corners, np.float32).reshape(-1, 4)
    return Boxes(found, np.full(len(found), 0.9, np.float32), np.zeros(len(found), np.int64))


def test_one_missed_box_on_one_picture_does_not_fail_a_hundred_others():
    """A picture of a single box that only one model sees has an F1 of 0 by itself."""
    together = Together(0.9, 0.9)
    together.add(boxes((0, 0, 9, 9)), boxes())
    assert not together

    for _ in range(100):
        together.add(boxes((0, 0, 9, 9)), boxes((0, 0, 9, 9)))

    assert together
    assert str(together) == "F1 0.9950 at IoU 0.9, 0.9 wanted: 100 boxes match of 101 and 100"


def test_two_runners_without_a_box_do_not_pass_by_absence():
    together = Together(0.9, 0.9)
    together.add(boxes(), boxes())

    assert not together
    assert "nothing is compared" in str(together)


def test_few_boxes_say_that_they_prove_little():
    together = Together(0.9, 0.9)
    together.add(boxes((0, 0, 9, 9)), boxes((0, 0, 9, 9)))

    assert together
    assert str(together).endswith("; 50 boxes or more would prove something")


def test_each_pair_of_runners_is_judged_by_itself(little_yolo):
    compare = BoxCompareFunc(str(little_yolo), iou=0.9, least=1.0)
    output = np.zeros((1, 6, 84), np.float32)
    output[0, :, 0] = (20, 20, 10, 10, 0.9, 0)
    other = output.copy()
    other[0, 0, 0] = 40
    first, same, moved = (
        IterationResult({"output0": value}, runner_name=name)
        for value, name in ((output, "a"), (output, "b"), (other, "c"))
    )

    assert [bool(compare(first, same)["boxes"]), bool(compare(same, moved)["boxes"])] == [True, False]


def test_batches_of_different_sizes_are_refused_and_not_compared(little_yolo):
    compare = BoxCompareFunc(str(little_yolo))
    two, four = (
        IterationResult({"output0": np.zeros((count, 6, 84), np.float32)}, runner_name=str(count)) for count in (2, 4)
    )

    with pytest.raises(PolygraphyException, match="2 has 2 pictures in a batch, 4 has 4"):
        compare(two, four)


def test_the_defaults_are_those_of_polyyolo_engine(polygraphy_run):
    told = polygraphy_run("--help").text
    assert (SAME_BOX, Limits().min_agreement) == (0.9, 0.9)
    assert " ".join(told.split()).count("Defaults to 0.9") == 2


def test_outputs_of_another_model_are_refused_by_name(polygraphy_run, models, little_yolo, little_pictures):
    pictures = ("--yolo-images", little_pictures, "--yolo-count", 2)
    assert polygraphy_run(little_yolo, "--onnxrt", *pictures, "--save-outputs", "little").status == 0

    ran = polygraphy_run(
        *(models / "yolov4-tiny-416.onnx", "--onnxrt", *pictures, "--load-outputs", "little", "--yolo-compare")
    )

    assert ran.status == 1
    assert "the outputs output0 lack " in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--onnxrt", "--yolo-compare"), "nothing to compare with: there is one runner, and no outputs of another"),
        (("--onnxrt", "--onnxrt", "--yolo-compare"), "there are no boxes in random numbers"),
        (("--yolo-compare", "1.5"), "argument --yolo-compare: 1.5 is not above 0 and at most 1"),
        (("--yolo-compare", "most"), "argument --yolo-compare: most is not above 0 and at most 1"),
        (("--onnxrt", "--yolo-min-agreement", "0.9"), "the limit of --yolo-compare, which is not there"),
    ],
)
def test_each_mistake_is_told_in_one_sentence(polygraphy_run, little_yolo, words, message):
    ran = polygraphy_run(little_yolo, *words)

    assert ran.status != 0
    assert message in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--compare", "indices"), "takes the place of --compare and --compare-func-script"),
        (("--compare-func-script", "x.py"), "takes the place of --compare and --compare-func-script"),
        (("--fail-fast",), "judges all pictures together"),
        (("--check-average",), "judges all pictures together"),
        (("--save-accuracy-results", "x.json"), "--save-accuracy-results has no form for boxes"),
        (("--yolo-model", "engine.plan"), "engine.plan does not tell how boxes are read"),
        (("--yolo-model", "absent.onnx"), "--yolo-model names no file: absent.onnx"),
        (("--atol", "1", "--check-error-stat", "mean"), "that --atol, --check-error-stat would have no effect"),
    ],
)
def test_options_that_cannot_go_together_are_refused_before_anything_runs(
    polygraphy_run, little_yolo, little_pictures, words, message
):
    ran = polygraphy_run(
        *(little_yolo, "--onnxrt", "--onnxrt", "--yolo-images", little_pictures, "--yolo-compare", *words)
    )

    assert ran.status == 1
    assert message in ran.text
    assert "Traceback" not in ran.text
    assert "Iteration" not in ran.text


def test_outputs_without_a_model_to_read_them_by_are_refused(polygraphy_run):
    ran = polygraphy_run("--load-outputs", "a.json", "b.json", "--yolo-compare")

    assert ran.status == 1
    assert "there is no model that tells how boxes are read" in ran.text


def test_a_model_without_boxes_is_refused(polygraphy_run, little_pictures, tmp_path):
    onnx.save(onnx.parser.parse_model(RELU), tmp_path / "relu.onnx")

    ran = polygraphy_run(
        *(tmp_path / "relu.onnx", "--onnxrt", "--onnxrt", "--yolo-images", little_pictures, "--yolo-compare")
    )

    assert ran.status == 1
    assert "has no boxes to compare" in ran.text
