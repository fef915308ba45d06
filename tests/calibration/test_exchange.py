"""Ranges from a table to a cache and back, and what differs between two caches."""

import json
import math

import pytest

from polyyolo import files
from polyyolo.calibration.cache_file import Cache
from polyyolo.calibration.exchange import Change, difference, read_table, to_cache, to_table
from polyyolo.errors import TableError
from polyyolo.models.spec import read_spec
from polyyolo.records import Preprocessing

SIZE = Preprocessing((64, 64))


def cache(version=8600, **scales):
    return Cache(version, "EntropyCalibration2", scales)


@pytest.fixture
def spec(little_yolo):
    return read_spec(little_yolo)


def test_a_range_of_127_is_a_scale_of_1(spec):
    made = to_cache({"images": 127.0, "stem": 0.0}, 8600, "EntropyCalibration2")

    assert made == cache(images=1.0, stem=0.0)
    assert to_table({name: made.amax(name) for name in made.scales}, spec, SIZE).amax("images") == 127.0


def test_imported_ranges_belong_to_the_model_and_say_where_they_are_from(spec):
    table = to_table({"stem": 2.5}, spec, SIZE)

    assert (table.model_sha256, table.method, table.pictures) == (spec.sha256, "imported", 0)
    assert table.amax("stem") == 2.5


@pytest.mark.parametrize("amax", [math.inf, math.nan, -1.0])
def test_ranges_that_are_none_are_refused(spec, amax):
    with pytest.raises(TableError, match="'stem' has the range"):
        to_table({"stem": amax}, spec, SIZE)


def test_a_cache_of_nothing_is_refused():
    with pytest.raises(TableError, match="no range to write"):
        to_cache({}, 8600, "EntropyCalibration2")


def test_the_largest_ratio_comes_first_whichever_way_it_goes():
    found = difference(
        cache(a=1.0, b=1.0, c=4.0, d=0.0, e=1.0, f=2.0), cache(101600, a=1.0, b=2.0, c=1.0, d=1.0, g=3.0)
    )

    assert found.changes == (Change("d", 0.0, 1.0, math.inf), Change("c", 4.0, 1.0, 0.25), Change("b", 1.0, 2.0, 2.0))
    assert (found.same, found.only_first, found.only_second) == (1, ("e", "f"), ("g",))
    assert found.headers == ("TRT-8600-EntropyCalibration2", "TRT-101600-EntropyCalibration2")


def test_a_cache_does_not_differ_from_itself():
    found = difference(cache(a=1.0), cache(a=1.0))

    assert (found.changes, found.same, found.headers) == ((), 1, ())


def test_a_table_comes_back_as_it_was_written(spec, tmp_path):
    table = to_table({"stem": 2.5}, spec, SIZE)
    files.write_json(tmp_path / "t.json", table)

    assert read_table(tmp_path / "t.json") == table


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda text: text[:100], "is no calibration table"),
        (lambda _: "", "is no calibration table"),
        (lambda _: "{}", "is no calibration table"),
        (lambda text: text.replace('"ranges"', '"range"'), "is no calibration table"),
        (lambda text: text.replace("2.5", "NaN"), "is no calibration table: it is no JSON"),
        (lambda text: text.replace("2.5", "Infinity"), "gives tensor 'stem' the range inf"),
        (lambda text: text.replace("2.5", "-2.5"), r"gives tensor 'stem' the range -2\.5"),
        (lambda text: text.replace("2.5", '"wide"'), "is no calibration table"),
        (lambda text: json.dumps({**json.loads(text), "method": "mse"}), "no mse range for tensor 'stem'"),
    ],
)
def test_a_damaged_table_is_refused(spec, tmp_path, damage, told):
    path = tmp_path / "t.json"
    files.write_json(path, to_table({"stem": 2.5}, spec, SIZE))
    path.write_text(damage(path.read_text()))

    with pytest.raises(TableError, match=told):
        read_table(path)


def test_a_scale_that_is_no_number_differs_from_numbers_alone():
    found = difference(cache(a=math.nan, b=math.nan), cache(a=math.nan, b=1.0))

    assert (found.same, [change.tensor for change in found.changes]) == (1, ["b"])
