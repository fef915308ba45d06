"""The command line of polyyolo detect."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from polyyolo.cli import main
from polyyolo.cli.console import Edge
from polyyolo.cli.detect import detect


def run(*arguments: object) -> Result:
    edge = Edge("polyyolo")
    edge.add_command(detect)
    return CliRunner().invoke(edge, ["detect", *map(str, arguments)])


def test_without_options_it_says_what_it_found_and_where_it_is(little_yolo, little_pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    done = run(little_yolo, little_pictures / "00.png")

    speed, boxes, place = done.stdout.splitlines()
    assert done.exit_code == 0
    assert speed.startswith("1 picture in ")
    assert speed.endswith(" pictures/s")
    assert boxes.split(" boxes: ")[0].isdecimal()
    assert place == "results: runs/detect/little-00"
    assert sorted(path.name for path in Path("runs/detect/little-00").iterdir()) == [
        ".lock",
        "detections.json",
        "pictures",
        "summary.json",
    ]


def test_json_is_for_scripts(little_yolo, little_pictures, tmp_path):
    done = run(little_yolo, little_pictures, "-o", tmp_path / "out", "--json", "--save", "json", "--classes", "dark")

    told = json.loads(done.stdout)
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (told["shots"], told["complete"], told["classes"], told["skipped"]) == (24, True, ["dark"], [])
    assert list(told["per_class"]) == ["dark"]
    assert told["boxes"] == told["per_class"]["dark"] > 100
    assert told["per_second"] == pytest.approx(24 / told["seconds"], abs=0.01)
    assert told["folder"] == str(tmp_path / "out")
    assert stored["written"] == ["detections.json"]
    assert {key: told[key] for key in stored} == stored


def test_a_run_and_its_model_see_the_same_pictures(little_yolo, little_pictures, tmp_path):
    """Otherwise what another preprocessing does is taken for what INT8 does."""
    made = tmp_path / "run"
    words = ["engine", little_yolo, "--images", little_pictures, "--precision", "fp32", "--toolchain", "none"]
    CliRunner().invoke(main, [str(word) for word in [*words, "--fit", "stretch", "--colour", "bgr", "-o", made]])
    wide = tmp_path / "wide.png"
    cv2.imwrite(str(wide), cv2.resize(cv2.imread(str(little_pictures / "00.png")), (160, 60)))

    run(made / "model.onnx", wide, "--against", little_yolo, "-o", tmp_path / "seen", "--save", "json")

    (entry,) = json.loads((tmp_path / "seen" / "detections.json").read_text())
    by_place = [sorted((*box["xyxy"], box["class"]) for box in entry[which]) for which in ("boxes", "against")]
    assert len(by_place[0]) > 10
    np.testing.assert_allclose(*by_place, atol=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--save", "pictures,gif"], "'gif' is not one of pictures, json, yolo, coco"),
        (["--save", ","], "',' is not one of pictures, json, yolo, coco"),
        (["--confidence", "25"], "25.0 is not in the range 0<=x<=1"),
        (["--limit", "0"], "0 is not in the range x>=1"),
        (["--classes", "brigth"], "no class 'brigth'; did you mean 'bright'?"),
        (["--size", "32", "32"], "height 32 was asked for, but it takes 64"),
        (["--against", "nowhere.onnx"], "there is no model file nowhere.onnx"),
        (["--head", "v5"], "do not fit the head v5"),
    ],
)
def test_a_wrong_option_is_one_error_before_anything_is_written(little_yolo, little_pictures, tmp_path, options, said):
    done = run(little_yolo, little_pictures, "-o", tmp_path / "out", *options)

    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "out").exists()
