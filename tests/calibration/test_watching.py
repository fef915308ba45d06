"""Activations of a running model: always in the same memory, and each thread has its own."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from polyyolo.calibration.watching import Watched
from polyyolo.models.spec import read_spec


def pictures_of(count, seed=0):
    return np.random.default_rng(seed).random((count, 3, 64, 64), np.float32)


def test_every_run_writes_to_the_same_memory(little_yolo):
    watched = Watched(read_spec(little_yolo), ["stem", "split"])

    first = watched.run(pictures_of(1), 0)
    places = {name: array.ctypes.data for name, array in first.items()}
    before = first["split"].copy()
    second = watched.run(pictures_of(1, 1), 1)

    assert {name: array.ctypes.data for name, array in second.items()} == places
    assert not np.array_equal(second["split"], before)


def test_pictures_of_another_size_get_memory_of_their_own(little_dynamic):
    watched = Watched(read_spec(little_dynamic), ["stem"])

    assert watched.run(pictures_of(1), 0)["stem"].shape == (1, 8, 32, 32)
    assert watched.run(pictures_of(3), 1)["stem"].shape == (3, 8, 32, 32)


def test_threads_that_run_at_the_same_time_do_not_overwrite_each_other(little_yolo):
    spec = read_spec(little_yolo)
    watched, alone = Watched(spec, ["stem"], at_once=2), Watched(spec, ["stem"])
    begun = Barrier(2)

    def last_of_three(seed):
        begun.wait()
        found = [watched.run(pictures_of(1, seed), number)["stem"] for number in range(3)][-1]
        begun.wait()
        return found

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(last_of_three, [0, 1])

    assert np.array_equal(first, alone.run(pictures_of(1, 0), 0)["stem"])
    assert np.array_equal(second, alone.run(pictures_of(1, 1), 0)["stem"])
    assert not np.shares_memory(first, second)
