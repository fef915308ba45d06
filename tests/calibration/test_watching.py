"""Activations of a running model: always in the same memory, and each thread has its own."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import onnx
import pytest

from polyyolo.calibration.watching import Watched
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load, read_spec


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


@pytest.fixture
def little_found(little_yolo, tmp_path):
    """The little YOLO, with the places of its scores above a limit as a second output: as many as there are."""
    model = load(little_yolo)
    limit = onnx.numpy_helper.from_array(np.float32(0.2), "limit")
    model.graph.initializer.append(limit)
    model.graph.node.append(onnx.helper.make_node("Greater", ["scores", "limit"], ["above"]))
    model.graph.node.append(onnx.helper.make_node("NonZero", ["above"], ["found"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("found", onnx.TensorProto.INT64, [3, "n"]))
    onnx.save(model, tmp_path / "found.onnx")
    return tmp_path / "found.onnx"


def test_a_tensor_whose_shape_depends_on_the_picture_comes_as_it_is_and_the_others_stay_in_their_memory(little_found):
    watched, alone = Watched(read_spec(little_found), ["stem", "found"]), open_session(little_found)
    pictures = [brightness * pictures_of(1, seed) for seed, brightness in enumerate([1, 0.2, 0, 2, 2, 0.5], 1)]

    counts, places = [], []
    for number, picture in enumerate(pictures):
        made = watched.run(picture.astype(np.float32), number)
        expected = alone.run(["found"], {"images": picture.astype(np.float32)})[0]
        assert np.array_equal(made["found"], expected)
        counts.append(expected.shape[1])
        places.append(made["stem"].ctypes.data)

    assert len(set(counts)) > 3, "the pictures differ in how much is found"
    assert len(set(places[1:])) == 1, "known after the second"


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
