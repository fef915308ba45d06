"""load_data works in the real Polygraphy, from anywhere, and says what is wrong with its settings."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from polyyolo.calibration.feeder import FeedOptions
from polyyolo.errors import InputError
from polyyolo.loader import read_options

PROJECT = Path(__file__).resolve().parent.parent
POLYGRAPHY = Path(sys.executable).with_name("polygraphy")


def polygraphy(*arguments: object, cwd: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run the real Polygraphy with nothing of ours in its environment but ``settings``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POLYYOLO_")}
    given = {f"POLYYOLO_{name.upper()}": str(value) for name, value in settings.items()}
    argv = [str(POLYGRAPHY), *map(str, arguments)]
    return subprocess.run(argv, cwd=cwd, env={**clean, **given}, capture_output=True, text=True, check=False)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path


def test_polygraphy_runs_a_static_model_from_the_projects_root(models, train, tmp_path):
    done = polygraphy(
        "run", models / "yolov8n-640.onnx", "--onnxrt", "--data-loader-script", "polyyolo/loader.py",
        cwd=PROJECT, images=train / "images", count=3, count_file=tmp_path / "count.json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "shape=(1, 3, 640, 640)" in done.stdout
    assert "polyyolo: only 3 pictures to calibrate with" in done.stdout + done.stderr
    assert json.loads((tmp_path / "count.json").read_text()) == {"promised": 3, "yielded": 3, "failure": ""}


def test_polygraphy_runs_a_dynamic_model_from_elsewhere_with_settings_from_a_file(models, train, elsewhere):
    (elsewhere / "polyyolo-loader.toml").write_text(
        f'images = "{train}/images"\ncount = 5\nbatch = 2\nsize = [320, 416]\ncount_file = "count.json"\n'
    )

    done = polygraphy(
        "run", models / "yolov8n-dyn.onnx", "--onnxrt", "--data-loader-script", PROJECT / "polyyolo/loader.py",
        cwd=elsewhere,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "shape=(2, 3, 320, 416)" in done.stdout
    assert json.loads((elsewhere / "count.json").read_text()) == {"promised": 2, "yielded": 2, "failure": ""}


def test_polygraphy_sees_the_same_picture_as_we_do(models, train, tmp_path):
    from polygraphy.json import load_json

    from polyyolo.images.letterbox import to_tensor
    from polyyolo.images.reading import read_picture
    from polyyolo.records import Preprocessing

    picture = min((train / "images").iterdir())
    done = polygraphy(
        "run", models / "yolov8n-640.onnx", "--onnxrt", "--data-loader-script", "polyyolo/loader.py",
        "--save-inputs", tmp_path / "inputs.json",
        cwd=PROJECT, images=picture,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    (feed,) = load_json(str(tmp_path / "inputs.json"))
    assert np.array_equal(feed["images"][0], to_tensor(read_picture(picture), Preprocessing((640, 640)))[0])


def test_what_the_script_feeds_can_be_sent_to_another_process(little_pictures, monkeypatch):
    """Polygraphy pickles it, with ``--use-subprocess``, and imports the script under a name that is gone afterwards."""
    from polygraphy.mod import import_from_script

    monkeypatch.setenv("POLYYOLO_IMAGES", str(little_pictures))

    fed = import_from_script(str(PROJECT / "polyyolo/loader.py"), "load_data")()

    assert pickle.loads(pickle.dumps(fed)).options == fed.options


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ["POLYYOLO_IMAGES is not set"]),
        (
            {"images": "absent", "count": "many", "pad": 300, "size": "1x2x3", "scale": "1/0"},
            [
                "POLYYOLO_COUNT: 'many' is not a whole number above 0",
                "POLYYOLO_PAD: pad is '300', not a whole number from 0 to 255",
                "POLYYOLO_SIZE: '1x2x3' is not one side, or height x width, in pixels up to 16384",
                "POLYYOLO_SCALE: scale is '1/0', not a number above 0",
            ],
        ),
        ({"images": "absent"}, ["no such file or folder: absent", "fix: name a folder of pictures"]),
    ],
)
def test_wrong_settings_are_all_named_in_polygraphys_output_without_a_traceback(models, elsewhere, settings, said):
    done = polygraphy(
        "run", models / "yolov8n-640.onnx", "--onnxrt", "--data-loader-script", PROJECT / "polyyolo/loader.py",
        cwd=elsewhere, **settings,
    )  # fmt: skip

    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert [sentence for sentence in said if sentence not in output] == []
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch": 5}, "a batch of 5 was asked for, but input 'images' takes (1, 3, 64, 64)"),
        ({"size": "64x32"}, "width 32 was asked for, but it takes 64"),
        ({"colour": "grey"}, "it has 3 channel(s), which colour 'grey' does not give"),
        ({"count_file": "."}, "is a folder"),
        ({"size": 16385}, "'16385' is not one side, or height x width, in pixels up to 16384"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_told_without_a_traceback(
    little_yolo, little_pictures, elsewhere, settings, said
):
    done = polygraphy(
        "run", little_yolo, "--onnxrt", "--data-loader-script", PROJECT / "polyyolo/loader.py",
        cwd=elsewhere, **{"images": little_pictures, **settings},
    )  # fmt: skip

    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert said in output
    assert "fix: " in output
    assert "Traceback" not in output


def test_pictures_named_by_an_empty_text_are_not_set(tmp_path):
    (tmp_path / "mine.toml").write_text('images = ""\n')

    with pytest.raises(InputError, match="POLYYOLO_IMAGES is not set"):
        read_options({"POLYYOLO_LOADER_CONFIG": str(tmp_path / "mine.toml")}, {})


def test_a_dynamic_model_without_a_size_is_told_which_setting_is_missing(models, train, elsewhere):
    done = polygraphy(
        "run", models / "yolov8n-dyn.onnx", "--onnxrt", "--data-loader-script", PROJECT / "polyyolo/loader.py",
        cwd=elsewhere, images=train / "images", count=1,
    )  # fmt: skip

    assert done.returncode == 1
    assert "fix: set the size, for example POLYYOLO_SIZE=640 or POLYYOLO_SIZE=384x1280" in done.stdout + done.stderr


def test_every_setting_is_read_from_the_environment():
    options = read_options(
        {
            "POLYYOLO_IMAGES": "photos", "POLYYOLO_COUNT": "32", "POLYYOLO_BATCH": "8", "POLYYOLO_SIZE": "384x1280",
            "POLYYOLO_FIT": "stretch", "POLYYOLO_PAD": "0", "POLYYOLO_COLOUR": "bgr", "POLYYOLO_SCALE": "1/127.5",
            "POLYYOLO_MEAN": "1", "POLYYOLO_STD": "0.5,0.5,0.5", "POLYYOLO_SEED": "9", "POLYYOLO_SPLIT": "val",
            "POLYYOLO_COUNT_FILE": "c.json",
        },
        {},
    )  # fmt: skip

    assert options == FeedOptions(
        Path("photos"),
        count=32,
        batch=8,
        size=(384, 1280),
        seed=9,
        split="val",
        overrides={
            "fit": "stretch", "pad": 0, "colour": "bgr", "scale": 1 / 127.5, "mean": (1.0,), "std": (0.5, 0.5, 0.5),
        },
        count_file=Path("c.json"),
    )  # fmt: skip


def test_the_environment_wins_over_the_file_and_the_file_over_presets(tmp_path):
    (tmp_path / "mine.toml").write_text('images = "photos"\ncount = 64\nseed = 3\n')

    options = read_options(
        {"POLYYOLO_LOADER_CONFIG": str(tmp_path / "mine.toml"), "POLYYOLO_COUNT": "16"},
        {"count": "300", "seed": "1", "fit": "stretch"},
    )

    assert options == FeedOptions(tmp_path / "photos", count=16, seed=3, overrides={"fit": "stretch"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('images = "x"\ncout = 3\n', "cout in .*: there is no such setting, did you mean count?"),
        ('images = "x"\nmean = [1, 2]\n', r"mean in .*: mean is '1,2', not one or three numbers"),
        ('images = "x"\nbatch = 0\n', "batch in .*: '0' is not a whole number above 0"),
        ("images = \n", "cannot read .*mine.toml: "),
    ],
)
def test_mistakes_in_the_file_are_named_with_the_file(tmp_path, text, said):
    (tmp_path / "mine.toml").write_text(text)

    with pytest.raises(InputError, match=said):
        read_options({"POLYYOLO_LOADER_CONFIG": str(tmp_path / "mine.toml")}, {})


def test_a_variable_that_is_nearly_a_setting_is_a_mistake():
    others = {"POLYYOLO_CACHE": "elsewhere", "POLYYOLO_LOADER": "mine.py", "COUNTS": "2"}

    with pytest.raises(InputError, match=r"^POLYYOLO_COUNTS: there is no such setting, did you mean count\?$"):
        read_options({"POLYYOLO_IMAGES": "x", "POLYYOLO_COUNTS": "2", **others}, {})
    assert read_options({"POLYYOLO_IMAGES": "x", **others}, {}) == FeedOptions(Path("x"))


def test_a_named_file_that_is_absent_is_an_error():
    with pytest.raises(InputError, match=r"cannot read absent\.toml"):
        read_options({"POLYYOLO_LOADER_CONFIG": "absent.toml", "POLYYOLO_IMAGES": "x"}, {})


def test_skipped_pictures_reach_polygraphys_log(models, train, elsewhere):
    (elsewhere / "set").mkdir()
    (elsewhere / "set/half.jpg").write_bytes(min((train / "images").iterdir()).read_bytes()[:9000])
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    cv2.imwrite(str(elsewhere / "set/noise.png"), noise)

    done = polygraphy(
        "run", models / "yolov8n-640.onnx", "--onnxrt", "--data-loader-script", PROJECT / "polyyolo/loader.py",
        cwd=elsewhere, images="set",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "1 picture cannot be used: half.jpg (the JPEG is cut short" in done.stdout + done.stderr
