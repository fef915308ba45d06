"""Pictures and labels that cannot be used: what is unusable is named, or the run refused before it begins."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest


def noise(height, width, channels=3, kind=np.uint8):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape, kind)


def test_odd_pictures_are_used_absurd_ones_left_out_and_pipes_not_waited_for(engine, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, image in {
        "grey": noise(50, 60, 1),
        "rgba": noise(50, 60, 4),
        "deep": noise(50, 60, 3, np.uint16),
        "dot": noise(1, 1),
        "line": noise(10, 20_000),
    }.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
    cv2.imwrite(str(folder / "torn.jpg"), noise(200, 200))
    os.truncate(folder / "torn.jpg", 4000)
    (folder / "page.jpg").write_text("<html>not found</html>")
    (folder / "folder.jpg").mkdir()
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "itself").symlink_to(".")
    os.mkfifo(folder / "pipe.jpg")

    code, out, _ = engine("--images", folder, "--json")
    (warning,) = [each for each in json.loads(out)["warnings"] if "cannot be used" in each["message"]]
    told = json.loads((tmp_path / "run" / "manifest.json").read_text())["pictures"]

    assert code == 0
    assert warning["message"].startswith("6 pictures cannot be used: ")
    assert {Path(each["path"]).stem for each in told["used"]} <= {"grey", "rgba", "deep"}


def as_npy(array):
    return lambda path: np.save(path, array)


VALUES = np.random.default_rng(0).random((4, 3, 64, 64), np.float32)


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("nowhere", lambda _: None, "no such file or folder"),
        ("empty", Path.mkdir, "it is empty"),
        ("list.txt", lambda path: path.write_text("nowhere.jpg\n"), "nowhere.jpg (No such file or directory)"),
        ("pipe.txt", os.mkfifo, "it is a pipe or a device"),
        ("pipe.npy", os.mkfifo, "it is a pipe or a device"),
        ("nested.yaml", lambda path: path.write_text("train: [[images]]\n"), "holds a list, no path"),
        ("rank.npy", as_npy(VALUES[0]), "it has 3 axes"),
        ("kind.npy", as_npy(VALUES.astype(np.float64)), "its dtype is float64"),
        ("range.npy", as_npy(VALUES * 255), "where this preprocessing gives 0 to 1"),
        ("nan.npy", as_npy(VALUES * np.nan), "holds NaN or infinity"),
        ("torn.npy", lambda path: path.write_bytes(b"\x93NUMPY"), "cannot read"),
    ],
)
def test_pictures_that_cannot_be_used_are_refused(refused, tmp_path, name, write, told):
    write(tmp_path / name)

    assert told in refused("--images", tmp_path / name)


def test_too_few_pictures_for_a_batch_are_refused(refused, little_dynamic, tmp_path):
    shapes = [f"{name} = [{batch}, 3, 64, 64]" for name, batch in (("min", 1), ("opt", 99), ("max", 99))]
    (tmp_path / "shapes.toml").write_text("\n".join(["[[profile]]", '[profile."*"]', *shapes]))

    said = refused("--profile", tmp_path / "shapes.toml", model=little_dynamic)

    assert "24 usable pictures cannot fill one batch of 99" in said


@pytest.fixture
def labelled(little_labelled, tmp_path):
    """Eight labelled pictures that a test may damage."""
    return shutil.copytree(little_labelled, tmp_path / "labelled")


def with_label(text):
    return lambda folder: [path.write_text(text) for path in (folder / "labels").iterdir()]


def as_coco(text):
    return lambda folder: (folder / "labels.json").write_text(text)


@pytest.mark.parametrize(
    ("damage", "source", "told"),
    [
        (with_label("9 0.5 0.5 0.4 0.4\n"), "", "class 9, but the model has 2 (0 to 1)"),
        (with_label("0 50 50 40 40\n"), "", "50.0 is outside 0 to 1"),
        (with_label("dog 0.5 0.5 0.4 0.4\n"), "", "could not convert string to float: 'dog'"),
        (lambda folder: shutil.rmtree(folder / "labels"), "", "none of the 8 pictures of"),
        (
            lambda folder: [path.write_bytes(b"") for path in (folder / "images").iterdir()],
            "",
            "none of the 8 labelled",
        ),
        (as_coco("[" * 100_000), "labels.json", "cannot read"),
        (as_coco('{"images": [3]}'), "labels.json", "is no COCO instances JSON"),
        (
            lambda folder: (folder / "data.yaml").write_text("val: images\nnames: 7\n"),
            "data.yaml",
            "are no list or mapping of classes",
        ),
    ],
)
def test_labels_that_do_not_match_are_refused(refused, labelled, damage, source, told):
    damage(labelled)

    assert told in refused("--labelled", labelled / source)


def test_a_damaged_labelled_picture_is_left_out_with_its_labels(engine, labelled, tmp_path):
    (labelled / "images" / "held-3.png").write_bytes(b"")

    code, out, _ = engine("--labelled", labelled, "--json")
    said = [each["message"] for each in json.loads(out)["warnings"]]

    assert code == 0
    assert "1 of 8 labelled pictures cannot be used: held-3.png (the file is empty)" in said
    assert json.loads((tmp_path / "run" / "report.json").read_text())["fidelity"]["pictures"] == 7
