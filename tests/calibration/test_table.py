"""The calibration table: measured once, read by any method, and only with what belongs to it."""

import numpy as np
import pytest
from attrs import evolve

from polyyolo import files
from polyyolo.calibration import histogram_file, statistics
from polyyolo.calibration.table import calibrate, with_method
from polyyolo.calibration.thresholds import METHODS
from polyyolo.errors import InputError, TableError
from polyyolo.images.choose import choose
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.stream import batches
from polyyolo.models.spec import read_spec
from polyyolo.records import CalibrationTable

TENSORS = ("images", "down1", "split")


@pytest.fixture
def spec(little_yolo):
    return read_spec(little_yolo)


@pytest.fixture
def chosen(spec, little_pictures):
    return choose(little_pictures, preprocessing_for(spec, (64, 64)), count=10, batch=1)


@pytest.fixture
def made(spec, chosen, tmp_path):
    return calibrate(spec, chosen, TENSORS, "mse", tmp_path / "histograms.npz")


def test_a_table_has_every_tensor_by_every_method_and_says_what_it_rests_on(made, spec, chosen, tmp_path):
    assert set(made.ranges) == set(TENSORS)
    assert {tuple(by_method) for by_method in made.ranges.values()} == {METHODS}
    assert (made.model_sha256, made.set_sha256, made.pictures) == (spec.sha256, chosen.sha256, 10)
    assert made.histogram_sha256 == files.sha256_of(tmp_path / "histograms.npz")


def test_ranges_are_those_of_the_pictures(made, chosen):
    largest = max(float(batch.max()) for batch in batches(chosen))

    assert made.ranges["images"]["max"] == pytest.approx(largest, rel=1e-7)
    for by_method in made.ranges.values():
        assert 0 < by_method["entropy"] <= by_method["max"]
        assert by_method["percentile-99.99"] <= by_method["percentile-99.9995"] <= by_method["max"]


def test_only_full_batches_are_counted(chosen, little_dynamic, tmp_path):
    by_four = evolve(chosen, batch=4)

    table = calibrate(read_spec(little_dynamic), by_four, TENSORS, "max", tmp_path / "histograms.npz")
    found = histogram_file.read(tmp_path / "histograms.npz")

    assert table.pictures == 8
    assert found["images"].counts.sum() == 8 * 3 * 64 * 64


def test_the_table_reads_back_from_json_as_it_was(made, tmp_path):
    files.write_json(tmp_path / "table.json", made)

    assert files.read_json(tmp_path / "table.json", CalibrationTable) == made


def test_a_method_of_ones_own_is_kept_beside_the_others(spec, chosen, tmp_path):
    table = calibrate(spec, chosen, TENSORS, "percentile-99.5", tmp_path / "histograms.npz")

    assert set(table.ranges["split"]) == {*METHODS, "percentile-99.5"}
    assert table.amax("split") == table.ranges["split"]["percentile-99.5"]


def test_an_unknown_method_is_refused_before_anything_runs(spec, chosen, tmp_path):
    with pytest.raises(InputError, match="'average'"):
        calibrate(spec, chosen, TENSORS, "average", tmp_path / "histograms.npz")

    assert list(tmp_path.iterdir()) == []


def test_another_method_needs_no_second_calibration(made, tmp_path):
    (tmp_path / "histograms.npz").unlink()

    assert with_method(made, "max", tmp_path / "histograms.npz").amax("split") == made.ranges["split"]["max"]


def test_a_method_the_table_lacks_comes_from_its_histograms(made, spec, chosen, tmp_path):
    fresh = calibrate(spec, chosen, TENSORS, "percentile-90", tmp_path / "fresh.npz")

    found = with_method(made, "percentile-90", tmp_path / "histograms.npz")

    assert found == fresh


def test_histograms_of_another_table_are_refused(made, tmp_path):
    histogram_file.save({"images": statistics.histogram(np.ones(3))}, tmp_path / "other.npz")

    for path in (tmp_path / "other.npz", tmp_path / "none.npz"):
        with pytest.raises(TableError, match="does not hold this table's histograms"):
            with_method(made, "percentile-90", path)
