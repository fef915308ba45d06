"""What tells whether the pictures of a run are still the same, and whether they were kept out of the calibration."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from attrs import evolve

from polyyolo import progress
from polyyolo.decisions import decide
from polyyolo.picture_sets import digest_of, was_held_out
from polyyolo.records import CalibrationSet, Preprocessing, Request


def test_the_digest_of_pictures_is_that_of_their_bytes(tmp_path):
    first, second = tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"
    for path in (first, second):
        path.parent.mkdir()
        cv2.imwrite(str(path), np.full((4, 4, 3), 9, np.uint8))
    before = digest_of([first], None)

    assert digest_of([second], None) == before, "where they lie does not matter"
    assert digest_of([first, second], None) != before
    second.write_bytes(second.read_bytes() + b" ")
    assert digest_of([second], None) != before


def test_the_digest_of_labelled_pictures_follows_their_labels(little_yolo, little_pictures, little_labelled, tmp_path):
    asked = Request(model=str(little_yolo), images=little_pictures, toolchain="none")
    copy = shutil.copytree(little_labelled, tmp_path / "copy")
    before = decide(evolve(asked, labelled=copy))
    (copy / "labels" / "held-0.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    after = decide(evolve(asked, labelled=copy))

    digests = [digest_of(found.compared_on, found.labelled) for found in (before, after)]
    assert digests[0] != digests[1]
    assert before.compared_on[0].samefile(after.compared_on[0])


def calibrated_with(*paths):
    return CalibrationSet(paths, Preprocessing((64, 64)), batch=1, seed=0, found=len(paths), sha256="0")


@pytest.mark.parametrize(
    ("gone", "held_out", "said"),
    [
        (
            "cal/x.png",
            False,
            ["whether 1 of the 2 pictures to compare on were calibrated with cannot be told, as x.png"],
        ),
        ("cal/z.png", True, []),
        ("cal/" + "z" * 300, True, []),
    ],
)
def test_of_calibration_pictures_that_are_gone_the_names_decide(tmp_path, gone, held_out, said):
    """A run is verified from another folder, on another machine, or after its pictures were moved."""
    compared_on = [tmp_path / "x.png", tmp_path / "y.png"]
    for path in compared_on:
        path.touch()

    with progress.recording() as heard:
        found = was_held_out(calibrated_with(Path(gone)), compared_on)

    assert found is held_out
    assert [warning.message.split(":")[0] for warning in heard.warnings] == said


def test_pictures_that_are_there_are_told_from_those_that_may_have_been_calibrated_with(tmp_path):
    compared_on = [tmp_path / "x.png", tmp_path / "y.png"]
    for path in compared_on:
        path.touch()

    with progress.recording() as heard:
        assert not was_held_out(calibrated_with(compared_on[0], Path("cal/x.png"), Path("cal/y.png")), compared_on)

    assert [warning.message.split(":")[0] for warning in heard.warnings] == [
        "1 of the 2 pictures to compare on were calibrated with, as x.png",
        "whether 1 of the 2 pictures to compare on were calibrated with cannot be told, as y.png",
    ]
