"""What tells whether the pictures of a run are still the same."""

import shutil

import cv2
import numpy as np
from attrs import evolve

from polyyolo.decisions import decide
from polyyolo.picture_sets import digest_of
from polyyolo.records import Request


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
