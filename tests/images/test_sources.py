"""Every way in which people name pictures, and what is said when there are none."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from polyyolo import progress, verifying, workspace
from polyyolo.detection.result import SUMMARY
from polyyolo.detection.writers import DETECTIONS
from polyyolo.errors import PictureError
from polyyolo.images.sources import find_pictures


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(paths: tuple[Path, ...], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder_is_searched_recursively_in_any_case_and_sorted(tmp_path):
    touch(tmp_path, "b/2.JPG", "a.Jpeg", "b/1.png", "c/d/3.WEBP", "notes.txt", ".hidden.jpg", ".cache/4.jpg", "5.tif")

    found = find_pictures(tmp_path)

    assert names(found, tmp_path) == ["5.tif", "a.Jpeg", "b/1.png", "b/2.JPG", "c/d/3.WEBP"]


def test_a_contact_sheet_is_no_picture_of_the_folder_that_it_lies_in(tmp_path):
    touch(tmp_path, "1.jpg", "contact-sheet.png", "b/contact-sheet.png")

    assert names(find_pictures(tmp_path), tmp_path) == ["1.jpg"]


@pytest.mark.parametrize(
    ("results", "drawn"),
    [
        ((workspace.LEDGER, workspace.REPORT, "calibration.png"), "pictures/01-1.png"),
        ((SUMMARY, DETECTIONS), "pictures/1.jpg"),
        ((SUMMARY,), "pictures/1.jpg"),
        ((verifying.RESULT, verifying.LEDGER), f"{verifying.PICTURES}/1.png"),
    ],
)
def test_what_an_earlier_run_drew_among_the_pictures_is_none_of_them(tmp_path, results, drawn):
    """A second run with its folder among the pictures calibrated with drawings of the first one."""
    touch(tmp_path, "1.jpg", "b/2.jpg", f"run/{drawn}", *(f"run/{name}" for name in results))

    assert names(find_pictures(tmp_path), tmp_path) == ["1.jpg", "b/2.jpg"]
    assert f"run/{drawn}" in names(find_pictures(tmp_path / "run"), tmp_path), "whoever names the folder gets them"


def test_a_link_to_a_folder_is_followed_and_a_circle_ends(tmp_path):
    touch(tmp_path, "real/1.jpg")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/link").symlink_to(tmp_path / "real")
    (tmp_path / "set/circle").symlink_to(tmp_path / "set")

    assert names(find_pictures(tmp_path / "set"), tmp_path) == ["set/link/1.jpg"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_folder_comes_before_links_to_it_in_whatever_order_the_disk_has_them(tmp_path, monkeypatch, *, turned):
    touch(tmp_path, "mid/1.jpg", "first/2.jpg")
    (tmp_path / "a_link").symlink_to(tmp_path / "mid")
    walk = os.walk

    def backwards(*words, **more):
        for root, folders, files in walk(*words, **more):
            folders.sort(reverse=turned)
            yield root, folders, files

    monkeypatch.setattr(os, "walk", backwards)

    assert names(find_pictures(tmp_path), tmp_path) == ["first/2.jpg", "mid/1.jpg"]


def test_pictures_that_cannot_be_read_and_results_are_not_passed_over_in_silence(tmp_path, monkeypatch):
    notes = []
    monkeypatch.setattr(progress, "note", notes.append)

    touch(tmp_path, "1.jpg", "2.mpo", "3.heic", "4.HEIC", "5.jxl", "site/summary.json", "site/pictures/6.jpg")

    with progress.recording() as heard:
        assert names(find_pictures(tmp_path), tmp_path) == ["1.jpg", "2.mpo"]

    (warning,) = heard.warnings
    assert warning.message == f"3 pictures are of a kind that cannot be read in {tmp_path}: 2 .heic, 1 .jxl"
    assert notes == [f"left out: {tmp_path / 'site'} holds results of polyyolo"]


def test_a_raw_photograph_beside_its_jpeg_is_not_missed(tmp_path):
    touch(tmp_path, "1.jpg", "1.cr2", "2.CR2")

    with progress.recording() as heard:
        find_pictures(tmp_path)

    assert [warning.message for warning in heard.warnings] == [
        f"1 picture is of a kind that cannot be read in {tmp_path}: 1 .cr2"
    ]


def test_two_names_of_one_picture_in_a_list_are_one_and_a_link_is_followed_first(tmp_path):
    touch(tmp_path, "b.jpg", "far/away/b.jpg", "far/b.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "far/away")
    (tmp_path / "list.txt").write_text("link/../b.jpg\nb.jpg\n./b.jpg\n")

    assert [path.resolve() for path in find_pictures(tmp_path / "list.txt")] == [
        (tmp_path / "far/b.jpg").resolve(),
        (tmp_path / "b.jpg").resolve(),
    ]


def test_a_folder_of_nothing_but_results_is_not_called_empty(tmp_path):
    touch(tmp_path, "site/summary.json", "site/pictures/6.jpg")

    with pytest.raises(PictureError, match="it holds results of polyyolo"):
        find_pictures(tmp_path)


def test_a_single_picture_is_a_source(tmp_path):
    touch(tmp_path, "1.jpg")

    assert find_pictures(tmp_path / "1.jpg") == (tmp_path / "1.jpg",)


def test_an_empty_folder_and_a_folder_of_text_files_say_what_was_found(tmp_path):
    touch(tmp_path, "labels/1.txt", "labels/2.txt", "labels/classes", "labels/map.json")
    (tmp_path / "empty").mkdir()

    with pytest.raises(PictureError) as texts:
        find_pictures(tmp_path / "labels")
    with pytest.raises(PictureError) as empty:
        find_pictures(tmp_path / "empty")

    assert texts.value.message == f"no pictures in {tmp_path}/labels: it holds 2 .txt, 1 no extension, 1 .json"
    assert empty.value.message == f"no pictures in {tmp_path}/empty: it is empty"


def test_a_list_is_read_line_by_line_from_its_own_folder_or_the_current_one(tmp_path, monkeypatch):
    touch(tmp_path, "lists/pictures/1.jpg", "here/2.jpg", "3.jpg")
    (tmp_path / "lists/train.txt").write_text(
        f"\ufeffpictures/1.jpg\n\n  # a comment\n2.jpg\r\n{tmp_path}/3.jpg\n./pictures/1.jpg\nabsent.jpg\n"
        f"{tmp_path}/lists/pictures/../pictures/1.jpg\n"
    )
    monkeypatch.chdir(tmp_path / "here")

    found = find_pictures(tmp_path / "lists/train.txt")

    assert found == (
        tmp_path / "lists/pictures/1.jpg",
        Path("2.jpg"),
        tmp_path / "3.jpg",
        tmp_path / "lists/absent.jpg",
    )


@pytest.mark.parametrize(
    ("text", "reason"), [("a.jpg\0b.jpg", "it holds NUL bytes"), ("\xe4".encode("latin-1"), "utf-8")]
)
def test_a_list_that_is_no_text_is_refused(tmp_path, text, reason):
    (tmp_path / "list.txt").write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(PictureError, match=reason):
        find_pictures(tmp_path / "list.txt")


def test_a_line_longer_than_a_name_may_be_is_a_picture_that_is_not_there(tmp_path):
    touch(tmp_path, "1.jpg")
    (tmp_path / "list.txt").write_text(f"1.jpg\n{'x' * 300}\n")

    assert find_pictures(tmp_path / "list.txt")[0] == tmp_path / "1.jpg"


def test_an_empty_list_is_refused(tmp_path):
    (tmp_path / "train.txt").write_text("# nothing\n")

    with pytest.raises(PictureError, match="names no pictures"):
        find_pictures(tmp_path / "train.txt")


@pytest.mark.parametrize(
    "text",
    [
        "path: set\ntrain: images/train\nval: images/val\nnames: {0: cat}\n",  # Ultralytics
        "train: set/images/train\nval: set/images/val\nnc: 1\nnames: [cat]\n",  # YOLOv5, below the file
        "path: .\ntrain: [set/images/train/1.jpg, set/images/train/2.jpg]\nval: set/val.txt\n",  # lists
        "path: ''\ntrain: ../set/images/train\nval: ../set/images/val\n",  # Roboflow's one ../ too many
    ],
)
def test_a_data_yaml_calibrates_with_train_and_measures_with_val(tmp_path, text):
    touch(tmp_path, "set/images/train/1.jpg", "set/images/train/2.jpg", "set/images/val/9.jpg")
    (tmp_path / "set/val.txt").write_text("images/val/9.jpg\n")
    (tmp_path / "data.yaml").write_text(text)

    assert [path.name for path in find_pictures(tmp_path / "data.yaml")] == ["1.jpg", "2.jpg"]
    assert [path.name for path in find_pictures(tmp_path / "data.yaml", split="val")] == ["9.jpg"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("names: [cat]\nval: images\n", "has no 'train' (it has names, val)"),
        ("- a list\n", "is no data.yaml: it holds no keys"),
        ("train: [\n", "is no YAML: "),
        ("train: nowhere\n", "no such file or folder: "),
        ("train: 7\n", "no such file or folder: "),
    ],
)
def test_a_data_yaml_that_leads_nowhere_says_why(tmp_path, text, reason):
    (tmp_path / "data.yaml").write_text(text)

    with pytest.raises(PictureError) as error:
        find_pictures(tmp_path / "data.yaml")

    assert reason in error.value.message
    assert error.value.fix


@pytest.mark.parametrize(("path", "keys"), [("", "'val'"), ("path: moved\n", "'val' or 'path'")])
def test_a_data_yaml_that_leads_nowhere_is_named_with_the_keys_to_correct(tmp_path, path, keys):
    """Whoever gave a data.yaml was told to give a data.yaml."""
    data = tmp_path / "data.yaml"
    data.write_text(f"{path}val: pictures\n")

    with pytest.raises(
        PictureError, match=r"no such file or folder: .*pictures, which .*data\.yaml names for 'val'"
    ) as no:
        find_pictures(data, split="val")

    assert no.value.fix == f"correct {keys} in it"


def test_what_is_no_source_is_refused(tmp_path):
    touch(tmp_path, "model.onnx")

    with pytest.raises(PictureError, match=r"is no folder, picture, \.txt list or data\.yaml"):
        find_pictures(tmp_path / "model.onnx")
    with pytest.raises(PictureError, match="no such file or folder"):
        find_pictures(tmp_path / "absent")


def test_a_folder_that_cannot_be_looked_into_is_refused(tmp_path, monkeypatch):
    """Its pictures would be left out without a word."""
    (tmp_path / "closed").mkdir()
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((4, 4, 3), np.uint8))
    listing = os.scandir

    def scandir(place):
        if str(place).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return listing(place)

    monkeypatch.setattr(os, "scandir", scandir)

    with pytest.raises(PictureError, match=r"cannot look into .*closed: Permission denied"):
        find_pictures(tmp_path)
