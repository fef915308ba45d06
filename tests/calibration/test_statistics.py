"""Histograms of activations: counted as numpy counts them, in one pass and flat memory."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from polyyolo.calibration import statistics
from polyyolo.calibration.histogram_file import read, save
from polyyolo.calibration.statistics import AT_ONCE, BINS, Histogram, histogram, magnitudes, measure
from polyyolo.errors import ModelError, TableError
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load, read_spec

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
OBSERVED = ["images", "stem", "down1", "split", "pools", "joined"]


def counted_by_numpy(values):
    upper = np.ascontiguousarray(values, np.float32).ravel().view(np.uint32) >> 16
    return np.bincount(upper & 0x7FFF, minlength=BINS)


def normal(size, scale=1.0, seed=0):
    return (np.random.default_rng(seed).normal(0, scale, size)).astype(np.float32)


@given(arrays(np.float32, array_shapes(max_dims=5, max_side=9), elements=FLOATS))
def test_counts_and_largest_are_numpys_for_any_shape_and_magnitude(values):
    found = histogram(values)

    assert np.array_equal(found.counts, counted_by_numpy(values))
    assert found.largest == np.abs(values).max()


@given(arrays(np.float32, st.integers(1, 64), elements=FLOATS))
def test_every_value_lies_within_half_a_percent_of_its_bin(values):
    usual = np.abs(values)[np.abs(values) >= np.finfo(np.float32).tiny].astype(np.float64)
    middle = magnitudes()[np.float32(usual).view(np.uint32) >> 16] if usual.size else usual

    np.testing.assert_allclose(middle, usual, rtol=1 / 256)


def test_magnitudes_ascend_from_zero_and_end_in_infinity():
    values = magnitudes()

    assert values[0] == 0
    assert (np.diff(values[:0x7F80]) > 0).all()
    assert np.isinf(values[0x7F80:]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.uint8, np.float64])
def test_other_types_are_counted_as_the_numbers_they_are(dtype):
    values = np.arange(200).astype(dtype)

    found = histogram(values)

    assert np.array_equal(found.counts, counted_by_numpy(values))
    assert found.largest == 199


def test_a_strided_view_is_counted_as_it_reads():
    values = normal((6, 8, 10))[::2, :, ::-3]

    assert np.array_equal(histogram(values).counts, counted_by_numpy(values))


@pytest.mark.parametrize(
    ("plenty", "stride"), [(0.5, 1), (1.9, 1), (2, 2), (3.9, 2), (4, 4), (7.9, 4), (8, 8), (17, 8)]
)
def test_of_a_large_tensor_every_second_fourth_or_eighth_value_is_counted(plenty, stride):
    values = normal(int(plenty * statistics._PLENTY) + 3)
    whole = values[: len(values) - len(values) % stride]

    assert np.array_equal(histogram(values).counts, counted_by_numpy(whole[::stride]))


@pytest.mark.parametrize("place", range(5))
def test_the_largest_value_is_exact_even_where_only_a_part_is_counted(place):
    values = normal(4 * statistics._PLENTY + 1)
    values[place - 3] = -1000.25

    assert histogram(values).largest == 1000.25


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2, 3, -1])
def test_one_nan_or_infinity_anywhere_is_refused(odd, place):
    values = normal(4 * statistics._PLENTY + 1)
    values[place] = odd

    with pytest.raises(ModelError, match="NaN or infinity"):
        histogram(values)


def test_the_largest_floats_are_no_infinity():
    values = np.full(1000, np.finfo(np.float32).max)

    assert histogram(values).largest == np.finfo(np.float32).max


@given(arrays(np.float32, 40, elements=FLOATS), st.integers(1, 39))
def test_two_histograms_add_up_to_that_of_all_values(values, cut):
    total = histogram(values[:cut]).fold(histogram(values[cut:]))
    whole = histogram(values)

    assert np.array_equal(total.counts, whole.counts)
    assert total.largest == whole.largest


def test_histograms_come_back_from_disk_as_they_were(tmp_path):
    before = {
        "a:0": histogram(normal(1000)),
        "ä b/c": histogram(normal(1000, 1e-30, seed=1)),
        "zeros": histogram(np.zeros(5, np.float32)),
        "many": Histogram(np.full(BINS, 1 << 40), 3.5),
    }

    digest = save(before, tmp_path / "histograms.npz")
    after = read(tmp_path / "histograms.npz")

    assert list(after) == list(before)
    for name, found in before.items():
        assert np.array_equal(after[name].counts, found.counts)
        assert after[name].largest == found.largest
    assert len(digest) == 64
    assert save(before, tmp_path / "again.npz") == digest, "the same histograms have the same hash"


def test_no_histograms_at_all_are_a_file_too(tmp_path):
    save({}, tmp_path / "none.npz")

    assert read(tmp_path / "none.npz") == {}


def test_a_file_is_small_because_most_bins_are_empty(tmp_path):
    save({str(number): histogram(normal(100_000, seed=number)) for number in range(60)}, tmp_path / "h.npz")

    assert (tmp_path / "h.npz").stat().st_size < 400_000


@pytest.mark.parametrize("keep", [0, 10, 200, -40])
def test_a_damaged_file_is_told_as_such(tmp_path, keep):
    path = tmp_path / "histograms.npz"
    save({"a": histogram(normal(1000))}, path)
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(TableError, match=r"cannot read the histograms in .*histograms\.npz"):
        read(path)


@pytest.mark.parametrize(
    "content",
    [
        {"names": np.array(["a"])},
        {
            "names": np.array(["a"]),
            "sizes": np.array([2]),
            "bins": np.array([0, 40000]),
            "counts": np.array([1, 1]),
            "largest": np.array([1.0]),
        },
        {
            "names": np.array(["a", "b"]),
            "sizes": np.array([1]),
            "bins": np.array([0]),
            "counts": np.array([1]),
            "largest": np.array([1.0]),
        },
        {
            "names": np.array([{"a": 1}], dtype=object),
            "sizes": np.array([1]),
            "bins": np.array([0]),
            "counts": np.array([1]),
            "largest": np.array([1.0]),
        },
    ],
    ids=["other arrays", "bin out of range", "lengths differ", "pickled"],
)
def test_another_npz_is_no_histogram_file(tmp_path, content):
    np.savez(tmp_path / "other.npz", **content)

    with pytest.raises(TableError, match="cannot read the histograms"):
        read(tmp_path / "other.npz")


def test_bytes_flipped_on_the_disk_are_noticed(tmp_path):
    path = tmp_path / "histograms.npz"
    save({"a": histogram(normal(100_000))}, path)
    whole = path.read_bytes()
    path.write_bytes(bytes(byte ^ 0xFF if 900 < place < 1000 else byte for place, byte in enumerate(whole)))

    with pytest.raises(TableError, match="cannot read the histograms"):
        read(path)


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 3, 4, 4), np.uint8)])
def test_an_npy_is_no_histogram_file(tmp_path, array):
    np.save(tmp_path / "pictures.npy", array)

    with pytest.raises(TableError, match="cannot read the histograms"):
        read(tmp_path / "pictures.npy")


def test_no_file_is_a_clear_error(tmp_path):
    with pytest.raises(TableError, match=r"none\.npz"):
        read(tmp_path / "none.npz")


def observed_by_onnxruntime(path, pictures):
    model = load(path)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in OBSERVED[1:])
    found = open_session(model.SerializeToString()).run(OBSERVED[1:], {"images": pictures})
    return dict(zip(OBSERVED, [pictures, *found], strict=True))


def pictures_of(count, seed=0):
    return np.random.default_rng(seed).random((count, 3, 64, 64), np.float32)


@pytest.mark.parametrize("scales", [(0.0, 1e-3, 1e3), (1e3, 1e-3, 0.0)], ids=["rising", "falling"])
def test_pictures_of_any_largest_value_add_up(little_yolo, scales):
    """Bins above a picture's largest value are not counted."""
    batches = [pictures_of(1) * np.float32(scale) for scale in scales]

    found = measure(read_spec(little_yolo), ["images"], batches, 3, look=lambda _: [np.array([[0.0, 0.0, 64.0, 64.0]])])

    everything = counted_by_numpy(np.concatenate(batches))
    assert np.array_equal(found["images"].counts, everything)
    assert found["images"].largest == max(batch.max() for batch in batches)
    assert found["images"].seen.sum() == everything.sum() // 8, "512 of 4,096 cells"


def test_measuring_a_model_counts_what_onnxruntime_computes(little_yolo):
    batches = [pictures_of(1, seed) for seed in range(4)]

    found = measure(read_spec(little_yolo), OBSERVED, iter(batches), 4)

    assert list(found) == OBSERVED
    each = [observed_by_onnxruntime(little_yolo, batch) for batch in batches]
    for name in OBSERVED:
        values = np.concatenate([one[name].ravel() for one in each])
        assert np.array_equal(found[name].counts, counted_by_numpy(values)), name
        assert found[name].largest == np.abs(values).max()


def test_a_batch_gives_what_its_pictures_give_one_by_one(little_dynamic):
    """Memory does not grow with the batch: where the model allows, pictures are run one by one."""
    spec = read_spec(little_dynamic)
    pictures = pictures_of(6)

    together = measure(spec, OBSERVED, [pictures], 1)
    apart = measure(spec, OBSERVED, [pictures[i : i + 1] for i in range(6)], 6)

    for name in OBSERVED:
        assert np.array_equal(together[name].counts, apart[name].counts)


def test_pictures_counted_at_the_same_time_add_up_to_what_they_are_one_after_the_other(little_yolo, monkeypatch):
    spec = read_spec(little_yolo)
    batches = [pictures_of(1, seed) for seed in range(20)]

    together = measure(spec, OBSERVED, batches, 20)
    monkeypatch.setattr(statistics, "AT_ONCE", 1)
    apart = measure(spec, OBSERVED, batches, 20)

    assert list(together) == list(apart) == OBSERVED
    for name in OBSERVED:
        assert np.array_equal(together[name].counts, apart[name].counts)
        assert together[name].largest == apart[name].largest


def test_no_more_batches_are_taken_than_are_worked_on_and_one(little_yolo):
    """Memory stays flat where pictures come quicker than they are counted."""
    taken, done = [], []

    def batches():
        for seed in range(12):
            taken.append(seed)
            assert len(taken) - len(done) <= AT_ONCE + 2
            yield pictures_of(1, seed)

    def look(outputs):
        done.append(len(outputs))
        return [np.empty((0, 4))]

    measure(read_spec(little_yolo), OBSERVED, batches(), 12, look=look)

    assert len(taken) == len(done) == 12


def test_a_model_of_fixed_batch_gets_its_batches_whole(little_yolo, tmp_path):
    model = load(little_yolo)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2
    del model.graph.value_info[:]
    onnx.save(model, tmp_path / "two.onnx")

    found = measure(read_spec(tmp_path / "two.onnx"), ["stem"], [pictures_of(2), pictures_of(2, 1)], 2)

    assert found["stem"].counts.sum() == 4 * 8 * 32 * 32


def test_a_batch_that_does_not_fit_is_told_with_its_number_and_shape(little_yolo):
    batches = [pictures_of(1), np.zeros((1, 3, 32, 32), np.float32)]

    with pytest.raises(ModelError, match=r"batch 1 of shape \(1, 3, 32, 32\)") as refused:
        measure(read_spec(little_yolo), OBSERVED, batches, 2)

    assert "inspect model" in refused.value.fix


def test_a_model_that_gives_nan_is_refused(little_yolo, tmp_path):
    model = load(little_yolo)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "stem_b")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(8, np.nan, np.float32), "stem_b"))
    onnx.save(model, tmp_path / "broken.onnx")

    with pytest.raises(ModelError, match="activations hold NaN"):
        measure(read_spec(tmp_path / "broken.onnx"), OBSERVED, [pictures_of(1)], 1)


def test_a_box_covers_the_cells_of_a_map_that_it_touches():
    box = np.array([[16.0, 8.0, 40.0, 24.0]])  # left, top, right, bottom in pixels of a 64x64 picture

    found = statistics.where(box, (64, 64), (8, 8))

    assert sorted({int(cell) // 8 for cell in found}) == [1, 2], "rows of 8 pixels"
    assert sorted({int(cell) % 8 for cell in found}) == [2, 3, 4], "columns of 8 pixels"


@pytest.mark.parametrize("box", [[-50, -50, 500, 500], [0, 0, 64, 64]], ids=["beyond the picture", "the whole picture"])
def test_of_a_large_map_at_most_512_cells_are_taken_and_evenly(box):
    found = statistics.where(np.array([box], np.float32), (64, 64), (320, 320))

    assert 256 < len(found) <= 512
    assert len(set(np.diff(found))) == 1


def test_nothing_seen_is_no_cell():
    assert not len(statistics.where(np.empty((0, 4)), (64, 64), (8, 8)))


def test_values_where_something_is_seen_are_counted_once_more(little_yolo):
    spec = read_spec(little_yolo)
    batch = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    top_left = np.array([[0.0, 0.0, 16.0, 32.0]])

    found = statistics.measure(spec, ["images"], [batch], 1, look=lambda _: [top_left])["images"]

    assert found.counts.sum() == batch.size
    assert found.seen.sum() == batch.size // 8
    assert np.array_equal(found.seen, histogram(batch[..., :32, :16]).counts)


def test_without_a_look_nothing_counts_as_seen(little_yolo):
    spec = read_spec(little_yolo)

    found = statistics.measure(spec, ["images"], [np.ones((1, 3, 64, 64), np.float32)], 1)["images"]

    assert not found.seen.any()
