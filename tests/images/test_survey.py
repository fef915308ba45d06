"""A survey counts sizes, names what was left out, and says each mistake once."""

from pathlib import Path

import cv2
import numpy as np

from polyyolo.images.choose import choose
from polyyolo.images.survey import SizeCount, survey
from polyyolo.records import Preprocessing, TensorSpec

INPUT = TensorSpec("images", "float32", ("batch", 3, 64, 64))


def noise(path: Path, height: int, width: int, seed: int) -> None:
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def test_sizes_are_counted_and_flaws_named(tmp_path):
    for number in range(3):
        noise(tmp_path / f"{number}.png", 40, 60, number)
    noise(tmp_path / "tall.png", 60, 40, 9)
    (tmp_path / "empty.png").touch()

    found = survey(choose(tmp_path, Preprocessing((64, 64)), count=10, batch=2), INPUT)

    assert (found.found, found.chosen, found.batches) == (5, 4, 2)
    assert found.sizes == (SizeCount(40, 60, 3), SizeCount(60, 40, 1))
    assert [(each.path.name, each.reason) for each in found.skipped] == [("empty.png", "the file is empty")]
    assert found.findings == ()
    assert found.is_usable


def test_a_mistake_in_every_batch_is_said_once(tmp_path):
    for number in range(4):
        noise(tmp_path / f"{number}.png", 64, 64, number)
    chosen = choose(tmp_path, Preprocessing((64, 64), dtype="float16"), count=4, batch=2)

    found = survey(chosen, INPUT)

    assert [finding.message for finding in found.findings] == ["the batch is float16, input 'images' takes float32"]
    assert not found.is_usable


def test_an_npy_has_entries_and_no_sizes(tmp_path):
    np.save(tmp_path / "set.npy", np.random.default_rng(0).random((4, 3, 64, 64), np.float32))

    found = survey(choose(tmp_path / "set.npy", Preprocessing((64, 64)), count=4, batch=1), INPUT)

    assert (found.chosen, found.batches, found.sizes) == (4, 4, ())
