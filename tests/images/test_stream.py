"""Tensors flow in order, in flat memory, and nothing keeps running when the consumer leaves."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from polyyolo.errors import PictureError
from polyyolo.images.ahead import WINDOW, ahead
from polyyolo.images.choose import choose
from polyyolo.images.letterbox import to_tensor
from polyyolo.images.reading import read_picture
from polyyolo.images.stream import batches, tensors
from polyyolo.records import Preprocessing

SMALL = Preprocessing((64, 96))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(11):
        image = np.random.default_rng(number).integers(0, 256, (32 + number, 48, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), image)
    return tmp_path


def workers() -> int:
    return sum(thread.name.startswith("pictures") for thread in threading.enumerate())


def test_batches_hold_the_chosen_pictures_in_order_and_drop_the_incomplete_last(folder):
    chosen = choose(folder, SMALL, count=11, batch=4)

    made = list(batches(chosen))

    assert [batch.shape for batch in made] == [(4, 3, 64, 96)] * 2
    expected = [to_tensor(read_picture(path), SMALL)[0] for path in chosen.sources[:8]]
    assert np.array_equal(np.concatenate(made), np.stack(expected))
    assert all(np.array_equal(first, second) for first, second in zip(made, batches(chosen), strict=True))


def test_tensors_come_in_the_order_of_the_paths_with_their_fit(folder):
    paths = sorted(folder.iterdir(), reverse=True)

    made = list(tensors(paths, SMALL))

    assert [path for path, _, _ in made] == paths
    assert [fit.source for _, _, fit in made] == [(42 - number, 48) for number in range(11)]


def test_a_picture_that_vanished_raises_at_its_place_with_its_path(folder):
    paths = sorted(folder.iterdir())
    paths[3].unlink()
    stream = tensors(paths, SMALL)

    assert [next(stream)[0] for _ in range(3)] == paths[:3]
    with pytest.raises(PictureError, match=r"cannot use .*003\.png: No such file"):
        next(stream)
    assert workers() == 0


def test_closing_stops_the_workers_and_gives_opencv_its_threads_back(folder):
    threads = cv2.getNumThreads()
    stream = tensors(sorted(folder.iterdir()), SMALL)
    next(stream)
    assert workers() > 0

    stream.close()

    assert workers() == 0
    assert cv2.getNumThreads() == threads


def test_work_goes_no_further_ahead_than_the_window():
    begun = []
    stream = ahead(begun.append, range(100))

    for taken in range(1, 4):
        next(stream)
        time.sleep(0.05)
        assert len(begun) <= taken + WINDOW
    stream.close()


def test_an_npy_of_uint8_is_rgb_pictures_that_are_scaled_here(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 3, 64, 96), np.uint8)
    np.save(tmp_path / "set.npy", pictures)

    for colour, order in (("rgb", [0, 1, 2]), ("bgr", [2, 1, 0])):
        chosen = choose(tmp_path / "set.npy", Preprocessing((64, 96), colour=colour), count=4, batch=2)
        made = np.concatenate(list(batches(chosen)))

        assert made.dtype == np.float32
        assert np.allclose(made, pictures[list(chosen.indices)][:, order] / 255, atol=1e-7)


def test_an_npy_of_floats_is_fed_as_it_is_in_the_models_dtype(tmp_path):
    finished = np.random.default_rng(0).random((4, 3, 64, 96), np.float32)
    np.save(tmp_path / "set.npy", finished)
    chosen = choose(tmp_path / "set.npy", Preprocessing((64, 96), dtype="float16"), count=4, batch=4)

    (made,) = batches(chosen)

    assert np.array_equal(made, finished[list(chosen.indices)].astype(np.float16))


def test_an_npy_that_shrank_since_is_refused(tmp_path):
    finished = np.random.default_rng(0).random((4, 3, 64, 96), np.float32)
    np.save(tmp_path / "set.npy", finished)
    chosen = choose(tmp_path / "set.npy", SMALL, count=4, batch=1)
    np.save(tmp_path / "set.npy", finished[:2])

    with pytest.raises(PictureError, match="has 2 entries, fewer than when it was chosen from"):
        list(batches(chosen))


def test_memory_stays_flat_however_many_pictures_there_are(tmp_path):
    """400 pictures of 640x640 are 2 GB as tensors; the whole stream must not hold more than a window of them."""
    import tracemalloc

    cv2.imwrite(str(tmp_path / "1.jpg"), np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    tracemalloc.start()

    for _ in tensors([tmp_path / "1.jpg"] * 400, Preprocessing((640, 640))):
        pass

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one = 3 * 640 * 640 * 4
    assert peak < (2 * WINDOW + 4) * one
