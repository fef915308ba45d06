"""Calibration pictures are chosen by seed, checked, replaced, counted and named."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from polyyolo.errors import InputError, PictureError
from polyyolo.images.choose import choose
from polyyolo.progress import Silent, listening
from polyyolo.records import CalibrationSet, Preprocessing

SMALL = Preprocessing((64, 64))


class Warnings(Silent):
    """Keep what the user would be told."""

    def __init__(self):
        self.messages = []
        self.fixes = []
        self.notes = []

    def noted(self, message):
        self.notes.append(message)

    def warned(self, message, fix):
        self.messages.append(message)
        self.fixes.append(fix)
        assert fix


def noise(seed: int, height: int = 32, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03}.png"), noise(number))
    return folder


def names(chosen: CalibrationSet) -> list[str]:
    return [path.name for path in chosen.sources]


def test_the_same_seed_chooses_the_same_pictures_and_another_seed_others(tmp_path):
    source = pictures(tmp_path, 20)

    first, again, other = (choose(source, SMALL, count=8, batch=4, seed=seed) for seed in (7, 7, 8))

    assert first == again
    assert first.found, first.pictures == (20, 8)
    assert len(set(names(first))) == 8
    assert names(first) != sorted(names(first))
    assert (names(other), other.sha256) != (names(first), first.sha256)


def test_all_are_taken_when_there_are_fewer_and_the_hash_survives_a_move(tmp_path):
    here, there = pictures(tmp_path / "here", 5), pictures(tmp_path / "there", 5)

    chosen, moved = choose(here, SMALL, count=300, batch=1), choose(there, SMALL, count=300, batch=1)

    assert (chosen.pictures, chosen.batches) == (5, 5)
    assert chosen.sha256 == moved.sha256
    cv2.imwrite(str(there / "000.png"), noise(99))
    assert choose(there, SMALL, count=300, batch=1).sha256 != chosen.sha256


def test_what_does_not_fill_a_batch_is_not_chosen_and_that_is_said(tmp_path):
    """Otherwise a run would say that it calibrated with pictures that no scale was measured on."""
    with listening(told := Warnings()):
        chosen = choose(pictures(tmp_path, 7), SMALL, count=300, batch=4)

    assert (chosen.pictures, chosen.batches) == (4, 1)
    assert told.notes == ["3 of 7 pictures are not used: they do not fill a batch of 4"]
    assert told.messages == ["only 4 pictures to calibrate with"]


def test_unusable_pictures_are_replaced_counted_and_named(tmp_path):
    source = pictures(tmp_path, 6)
    whole = (source / "000.png").read_bytes()
    (source / "half.png").write_bytes(whole[: len(whole) // 2])
    (source / "empty.jpg").touch()
    cv2.imwrite(str(source / "black.png"), np.zeros((32, 32, 3), np.uint8))
    cv2.imwrite(str(source / "dot.png"), noise(0, 1, 1))
    cv2.imwrite(str(source / "line.png"), noise(0, 10, 20_000))

    with listening(Warnings()) as _, listening(told := Warnings()):
        chosen = choose(source, SMALL, count=300, batch=1)

    assert sorted(names(chosen)) == [f"{number:03}.png" for number in range(6)]
    assert chosen.found == 11
    assert {each.path.name: each.reason for each in chosen.skipped} == {
        "half.png": "no picture, or of a format that OpenCV cannot decode",
        "empty.jpg": "the file is empty",
        "black.png": "it is of one single colour",
        "dot.png": "1x1 pixels: a side is shorter than 10",
        "line.png": "20000x10 pixels: one side is 2000 times the other, more than 50",
    }
    assert told.messages[0].startswith("5 pictures cannot be used: ")
    assert told.messages[0].endswith("; and 2 more")
    assert told.fixes[0].endswith(f"; all are named by polyyolo inspect data {source}")


def test_one_picture_is_told_as_one(tmp_path):
    with listening(told := Warnings()):
        choose(pictures(tmp_path, 1), SMALL, count=300, batch=1)

    assert told.messages == ["only 1 picture to calibrate with"]


def test_a_list_with_missing_entries_uses_the_others(tmp_path):
    pictures(tmp_path, 2)
    (tmp_path / "list.txt").write_text("000.png\nabsent.png\n001.png\n")

    chosen = choose(tmp_path / "list.txt", SMALL, count=10, batch=1)

    assert sorted(names(chosen)) == ["000.png", "001.png"]
    assert [(each.path.name, each.reason) for each in chosen.skipped] == [("absent.png", "No such file or directory")]


def test_a_list_of_wrong_paths_says_where_nothing_is(tmp_path):
    (tmp_path / "list.txt").write_text("gone/000.png\ngone/001.png\n")

    with pytest.raises(PictureError, match="none of the 2 pictures") as error:
        choose(tmp_path / "list.txt", SMALL, count=10, batch=1)

    assert error.value.fix.startswith(f"there is no {tmp_path / 'gone'}")
    assert "image viewer" not in error.value.fix


def test_no_usable_picture_is_an_error_with_the_reasons(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.jpg").touch()

    with pytest.raises(PictureError) as error:
        choose(tmp_path, SMALL, count=10, batch=1)

    assert error.value.message.startswith(f"none of the 5 pictures in {tmp_path} can be used: ")
    assert error.value.message.count("(the file is empty)") == 3
    assert error.value.message.endswith("; and 2 more")


def test_few_and_repeated_pictures_are_said_once(tmp_path):
    source = pictures(tmp_path, 3)
    (source / "copy.png").write_bytes((source / "001.png").read_bytes())

    with listening(told := Warnings()):
        choose(source, SMALL, count=4, batch=1)

    assert told.messages[0] == "only 4 pictures to calibrate with"
    assert told.messages[1].startswith("1 of the 4 pictures repeat another one's bytes, as ")
    assert "001.png" in told.messages[1]
    assert len(told.messages) == 2


def test_enough_good_pictures_bring_no_warning(train):
    with listening(told := Warnings()):
        chosen = choose(train / "images", Preprocessing((640, 640)), count=128, batch=16)

    assert told.messages == []
    assert (chosen.pictures, chosen.batches, chosen.skipped) == (128, 8, ())


def test_too_few_for_one_batch_is_an_error(tmp_path):
    with pytest.raises(InputError, match="3 usable pictures cannot fill one batch of 4"):
        choose(pictures(tmp_path, 3), SMALL, count=10, batch=4)


def test_asking_for_none_is_an_error(tmp_path):
    with pytest.raises(PictureError, match="0 pictures were asked for"):
        choose(pictures(tmp_path, 1), SMALL, count=0, batch=1)


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def test_an_npy_of_finished_tensors_is_chosen_entry_by_entry(tmp_path):
    tensors = np.random.default_rng(0).random((10, 3, 64, 64), np.float32)
    tensors[3, 0, 0, 0] = np.nan
    tensors[5] = 0.25
    tensors[2] /= 255

    chosen = choose(save(tmp_path / "set.npy", tensors), SMALL, count=20, batch=2)

    assert chosen.sources == (tmp_path / "set.npy",)
    assert sorted(chosen.indices) == [0, 1, 4, 7, 8, 9]
    assert sorted(each.reason.partition(" to ")[0] for each in chosen.skipped) == [
        "entry 2: values go from 9.49e-08",
        "entry 3 holds NaN or infinity",
        "entry 5 is of one single value",
    ]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones((3, 64, 64), np.float32), "it has 3 axes (3, 64, 64), not 4 (N, C, H, W)"),
        (np.ones((5, 64, 64, 3), np.float32), "the model takes (3, 64, 64) (this looks like N, H, W, C)"),
        (np.ones((5, 3, 32, 64), np.float32), "its entries are (3, 32, 64), the model takes (3, 64, 64)"),
        (np.ones((5, 3, 64, 64), np.float64), "its dtype is float64, not uint8, float16 or float32"),
        (np.ones((0, 3, 64, 64), np.float32), "it has no entries"),
    ],
)
def test_an_npy_that_does_not_fit_says_what_it_is(tmp_path, array, reason):
    with pytest.raises(PictureError) as error:
        choose(save(tmp_path / "set.npy", array), SMALL, count=5, batch=1)

    assert reason in error.value.message
    assert error.value.fix == "write (N, C, H, W) uint8 RGB pictures, or float32 tensors as the model takes them"


def test_an_npy_of_0_to_255_where_0_to_1_is_meant_is_refused(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (4, 3, 64, 64)).astype(np.float32)

    with pytest.raises(PictureError, match="values go from 0 to 255, where this preprocessing gives 0 to 1") as error:
        choose(save(tmp_path / "set.npy", levels), SMALL, count=4, batch=1)

    assert "--scale 1 for 0 to 255" in error.value.fix


def test_a_cut_npy_objects_and_archives_are_refused(tmp_path):
    whole = save(tmp_path / "whole.npy", np.ones((4, 3, 64, 64), np.float32)).read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-100])
    (tmp_path / "stub.npy").write_bytes(whole[:5])
    np.savez(tmp_path / "archive", a=np.ones(3))
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)

    for name in ("cut", "stub", "archive", "objects", "absent"):
        with pytest.raises(PictureError, match=f"{name}.npy"):
            choose(tmp_path / f"{name}.npy", SMALL, count=4, batch=1)
