"""What lies beside a calibration cache and says what it was made with."""

import pytest
from attrs import evolve

from polyyolo.calibration import cache_manifest
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.errors import TableError
from polyyolo.records import Preprocessing

MADE = CacheManifest("a" * 64, "b" * 64, "c" * 64, Preprocessing((640, 640)), "mse", 128, 16, 16)


@pytest.mark.parametrize("manifest", [MADE, evolve(MADE, preprocessing=None, set_sha256="")])
def test_a_manifest_comes_back_as_it_was_written(tmp_path, manifest):
    cache = tmp_path / "calibration.cache"

    cache_manifest.write(manifest, cache)

    assert cache_manifest.read(cache) == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.cache.json"]


def test_a_cache_of_another_tool_has_none(tmp_path):
    assert cache_manifest.read(tmp_path / "calibration.cache") is None


@pytest.mark.parametrize("content", ["", "{", '{"method": "mse"}', "[]"])
def test_a_damaged_manifest_is_an_error_and_not_as_if_there_were_none(tmp_path, content):
    (tmp_path / "calibration.cache.json").write_text(content)

    with pytest.raises(TableError, match=r"calibration\.cache\.json is damaged"):
        cache_manifest.read(tmp_path / "calibration.cache")
