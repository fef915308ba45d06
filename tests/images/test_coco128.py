"""COCO128 is unpacked into the cache, and nothing but its pictures and labels."""

import zipfile

import pytest

from polyyolo.errors import ToolchainError
from polyyolo.images import coco128


@pytest.fixture
def archive(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYYOLO_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "coco128.zip"
    monkeypatch.setattr(coco128, "URL", path.as_uri())
    return path


def test_pictures_and_labels_come_out(archive, tmp_path):
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("coco128/images/train2017/1.jpg", b"picture")
        package.writestr("coco128/labels/train2017/1.txt", b"0 0.5 0.5 1 1")
        package.writestr("coco128/../../escaped.txt", b"no")
        package.writestr("/absolute.txt", b"no")
        package.writestr("coco128/run.sh", b"no")
    folder = coco128.fetch()

    assert folder == tmp_path / "cache" / "coco128"
    assert sorted(path.name for path in folder.rglob("*.*")) == ["1.jpg", "1.txt"]
    assert not list(tmp_path.rglob("escaped.txt"))
    archive.unlink()
    assert coco128.fetch() == folder


@pytest.mark.parametrize("content", [None, b"<html>", b"PK\x03\x04" + bytes(50)])
def test_anything_else_says_what_to_put_where(archive, tmp_path, content):
    if content is not None:
        archive.write_bytes(content)
    with pytest.raises(ToolchainError) as error:
        coco128.fetch()

    assert str(tmp_path / "cache" / "coco128" / "images") in error.value.fix
    assert not (tmp_path / "cache" / "coco128").exists()
