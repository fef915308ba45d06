"""polyyolo inspect data shows what a calibration would see."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

from polyyolo.cli import main
from polyyolo.cli.console import Edge
from polyyolo.cli.inspect_data import data
from polyyolo.images.reading import decode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "pictures"
    source.mkdir()
    for number in range(4):
        cv2.imwrite(
            str(source / f"{number}.png"),
            np.random.default_rng(number).integers(0, 256, (40, 60 + number % 2, 3), np.uint8),
        )
    return source


def inspect(*arguments: object) -> Result:
    edge = Edge("inspect")
    edge.add_command(data)
    return CliRunner().invoke(edge, ["data", *map(str, arguments)])


def test_it_counts_names_and_draws(folder, tmp_path):
    (folder / "half.jpg").write_bytes(b"\xff\xd8\xff\xe0")

    done = inspect(folder, "--size", 64, 96, "--batch", 2, "-o", tmp_path / "sheet.png", "--quiet")

    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "5 pictures found, 4 chosen: 2 batches of 2",
        "sizes (width x height): 2 of 60x40, 2 of 61x40",
        f"left out: {folder}/half.jpg: the JPEG is cut short: its end marker is missing",
        "no mistakes found",
        f"what the model sees: {tmp_path}/sheet.png",
    ]
    assert decode((tmp_path / "sheet.png").read_bytes()).shape[1] == 4 * 204


def test_the_sheet_is_none_of_the_pictures_the_next_time(folder, monkeypatch):
    monkeypatch.chdir(folder)

    first, second = inspect(".", "--quiet"), inspect(".", "--quiet")

    assert (folder / "contact-sheet.png").is_file()
    assert first.stdout == second.stdout
    assert first.stdout.startswith("4 pictures found, 4 chosen")


@pytest.mark.parametrize(
    ("source", "output", "said"),
    [
        (".", "0.png", "0.png is 0.png itself, which would be lost"),
        (".", "sheet.png", "sheet.png lies among the pictures of ., and would be one of them the next time"),
        (".", "new/sheet.png", "new/sheet.png lies among the pictures of ., and would be one of them the next time"),
        ("data.yaml", "sheet.png", "sheet.png lies among the pictures of data.yaml"),
        ("data.yaml", "data.yaml", "data.yaml is data.yaml itself, which would be lost"),
        ("list.txt", "1.png", "1.png is 1.png itself, which would be lost"),
        ("set.npy", "set.npy", "set.npy is set.npy itself, which would be lost"),
    ],
)
def test_nothing_is_drawn_over_pictures_or_among_them(folder, monkeypatch, source, output, said):
    monkeypatch.chdir(folder)
    (folder / "list.txt").write_text("0.png\n1.png\n")
    (folder / "data.yaml").write_text("train: .\n")
    np.save(folder / "set.npy", np.random.default_rng(0).random((2, 3, 32, 64), np.float32))
    before = {path: path.read_bytes() for path in folder.iterdir()}

    done = inspect(source, "-o", output, "--quiet")

    assert done.exit_code == 2
    assert said in done.output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_beside_the_pictures_of_a_list_there_is_room_for_the_sheet(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "list.txt").write_text("0.png\n1.png\n")

    assert [inspect("list.txt", "-o", "sheet.png", "--quiet").exit_code for _ in range(2)] == [0, 0]


def test_a_sheet_is_drawn_over_nothing_but_a_picture(folder, tmp_path):
    (tmp_path / "model.onnx").write_text("precious")

    done = inspect(folder, "-o", tmp_path / "model.onnx")

    assert done.exit_code == 2
    assert "is no name of a picture: end it in .png" in done.output
    assert (tmp_path / "model.onnx").read_text() == "precious"


@pytest.mark.parametrize("imgsz", ["96", "[96, 160]"])
def test_an_open_model_is_fed_at_the_size_that_it_was_exported_for(folder, little_open, tmp_path, imgsz):
    model = onnx.load(little_open)
    onnx.helper.set_model_props(model, {"imgsz": imgsz})
    onnx.save(model, tmp_path / "m.onnx")

    done = inspect(folder, "--model", tmp_path / "m.onnx", "-o", tmp_path / "sheet.png", "--json", "--quiet")

    wanted = [96, 96] if imgsz == "96" else [96, 160]
    assert json.loads(done.stdout)["preprocessing"]["size"] == wanted


def test_json_is_for_scripts(folder, tmp_path):
    done = inspect(folder, "--json", "--fit", "stretch", "--colour", "bgr", "--mean", "1,2,3", "-o", tmp_path / "s.png")

    told = json.loads(done.stdout)
    assert (told["found"], told["chosen"], told["batches"], told["findings"]) == (4, 4, 4, [])
    assert told["preprocessing"]["size"] == [640, 640]
    assert (told["preprocessing"]["fit"], told["preprocessing"]["colour"]) == ("stretch", "bgr")
    assert told["preprocessing"]["mean"] == [1.0, 2.0, 3.0]
    assert told["warnings"][0]["message"] == "only 4 pictures to calibrate with"


@pytest.mark.parametrize(
    ("model", "size"), [("yolov4-tiny-416", [416, 416]), ("yolov8n-640", [640, 640]), ("yolov8n-dyn", [640, 640])]
)
def test_a_model_tells_its_own_size(folder, models, tmp_path, model, size):
    done = inspect(folder, "--model", models / f"{model}.onnx", "--json", "-o", tmp_path / "s.png")

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["preprocessing"]["size"] == size


def test_a_model_of_a_run_is_shown_as_the_run_fed_it(folder, little_yolo, tmp_path):
    words = ["engine", little_yolo, "--images", folder, "--precision", "fp32", "--toolchain", "none"]
    CliRunner().invoke(main, [*map(str, words), "--fit", "stretch", "-o", str(tmp_path / "run")])

    done = inspect(folder, "--model", tmp_path / "run" / "model.onnx", "--json", "-o", tmp_path / "s.png")

    assert json.loads(done.stdout)["preprocessing"]["fit"] == "stretch"


def test_an_npy_brings_its_own_size(tmp_path):
    np.save(tmp_path / "set.npy", np.random.default_rng(0).random((2, 3, 32, 64), np.float32))

    done = inspect(tmp_path / "set.npy", "--json", "-o", tmp_path / "s.png")

    assert json.loads(done.stdout)["preprocessing"]["size"] == [32, 64]


def test_the_advice_for_values_up_to_255_works(tmp_path):
    values = np.random.default_rng(0).uniform(0, 255, (2, 3, 32, 64))
    np.save(tmp_path / "set.npy", values.astype(np.float32))
    np.save(tmp_path / "bytes.npy", values.astype(np.uint8))
    sheet = ("-o", tmp_path / "s.png")

    refused = inspect(tmp_path / "set.npy", *sheet)

    assert refused.exit_code == 2
    assert "save uint8, which is scaled when it is read" in refused.stderr
    assert "(--scale 1 for 0 to 255)" in refused.stderr
    assert inspect(tmp_path / "set.npy", "--scale", "1", *sheet).exit_code == 0
    assert inspect(tmp_path / "bytes.npy", *sheet).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", 640, 640, "--model", "yolov4-tiny-416"], "width 640 was asked for, but it takes 416"),
        (["--size", 650, 640, "--model", "yolov8n-dyn"], "height 650 is no multiple of the model's stride 32"),
        (["--batch", 5], "4 usable pictures cannot fill one batch of 5"),
    ],
)
def test_what_does_not_fit_is_one_error_with_a_fix(folder, models, tmp_path, arguments, said):
    known = [models / f"{word}.onnx" if str(word).startswith("yolo") else word for word in arguments]

    done = inspect(folder, *known, "-o", tmp_path / "s.png", "--quiet")

    assert done.exit_code == 2
    assert said in done.output
    assert "  fix: " in done.output
    assert not (tmp_path / "s.png").exists()


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("--pad", "256", "pad is '256', not a whole number from 0 to 255"),
        ("--std", "1,0,1", "std is '1,0,1', not one or three numbers above 0"),
        ("--scale", "none", "scale is 'none', not a number above 0"),
        ("--colour", "gbr", "'gbr' is not one of"),
    ],
)
def test_wrong_options_say_what_is_wanted(folder, option, text, said):
    done = inspect(folder, option, text)

    assert done.exit_code == 2
    assert said in done.output
