"""The catalogue is complete and its hashes are those of the real files."""

import re

import pytest

from polyyolo import files, progress
from polyyolo.errors import ModelError, ToolchainError
from polyyolo.models import catalogue

pytestmark = pytest.mark.usefixtures("offline")
NAMES = [entry.name for entry in catalogue.entries()]


def test_names_are_unique_and_the_promised_ones_are_there():
    assert len(set(NAMES)) == len(NAMES)
    assert {"yolov5s", "yolov5nu", "yolov8n", "yolov8s", "yolov4-tiny"} <= set(NAMES)


@pytest.mark.parametrize("entry", catalogue.entries(), ids=NAMES)
def test_each_entry_is_complete(entry):
    assert entry.classes == 80
    assert all(side % 32 == 0 for side in entry.input)
    assert entry.licence
    for remote in entry.files:
        assert re.fullmatch(r"[0-9a-f]{64}", remote.sha256)
        assert remote.size > 1000
        assert all(url.startswith("https://") and url.endswith(remote.name) for url in remote.urls)
        assert remote.urls
        assert all(mirror.member.endswith(remote.name) for mirror in remote.mirrors)


@pytest.mark.parametrize("name", ["yolov5s", "yolov8n", "yolov4-tiny"])
def test_the_hashes_are_those_of_the_real_files(models, name):
    for remote in catalogue.find(name).files:
        path = models / remote.name
        assert (files.sha256_of(path), path.stat().st_size) == (remote.sha256, remote.size)


def test_a_name_that_is_almost_right_gets_a_hint():
    with pytest.raises(ModelError) as error:
        catalogue.find_or_refuse("yolo5s")
    assert error.value.fix.startswith("did you mean yolov5s")
    assert "polyyolo models list" in catalogue.advice("resnet")


def test_the_licence_is_told_when_fetching_and_offline_says_what_to_put_where(tmp_path):
    class Heard(progress.Silent):
        said = ()

        def noted(self, message):
            self.said += (message,)

    heard, entry = Heard(), catalogue.find("yolov8n")
    with progress.listening(heard), pytest.raises(ToolchainError) as error:
        catalogue.fetch(entry)

    assert heard.said == ("yolov8n comes under this licence: AGPL-3.0 (Ultralytics)",)
    assert str(tmp_path / "cache" / "models" / "yolov8n.pt") in error.value.fix
    assert entry.files[0].sha256 in error.value.fix


def test_files_put_into_the_cache_by_hand_are_found(models, tmp_path):
    entry = catalogue.find("yolov8n")
    assert not entry.cached
    folder = tmp_path / "cache" / "models"
    folder.mkdir(parents=True)
    (folder / "yolov8n.pt").write_bytes((models / "yolov8n.pt").read_bytes())

    assert entry.cached
    assert catalogue.fetch(entry) == (folder / "yolov8n.pt",)
