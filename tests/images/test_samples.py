"""The sample pictures are free, recorded, and said to be too few."""

import hashlib
import io
import re
import tarfile

import pytest

from polyyolo import progress
from polyyolo.errors import ToolchainError
from polyyolo.fetching import Mirror, Remote
from polyyolo.images import samples
from polyyolo.images.sources import find_pictures

CONTENT = b"not really a picture"


class Heard(progress.Silent):
    def __init__(self):
        self.warnings = []

    def warned(self, message, fix):
        self.warnings.append((message, fix))


@pytest.fixture(autouse=True)
def own_pip(monkeypatch, tmp_path):
    """A pip that knows the folder ``packages`` only, and an empty cache."""
    (tmp_path / "packages").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "packages"))
    monkeypatch.setenv("POLYYOLO_CACHE", str(tmp_path / "cache"))


def sample(name, archive):
    remote = Remote(
        name, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), (), (Mirror("toy", archive, f"toy/{name}"),)
    )
    return samples.Sample(remote, "a thing", "Somebody", "CC0", "somewhere")


def pack(folder, archive, *names):
    with tarfile.open(folder / archive, "w:gz") as package:
        for name in names:
            item = tarfile.TarInfo(f"toy/{name}")
            item.size = len(CONTENT)
            package.addfile(item, io.BytesIO(CONTENT))


def test_every_picture_has_an_author_an_origin_and_a_free_licence():
    listed = samples.samples()
    assert 8 <= len(listed) <= 20
    assert len({each.file.name for each in listed}) == len(listed)
    for each in listed:
        assert each.licence in {"public domain", "CC0", "CC BY 2.0", "CC BY-SA 3.0", "Unsplash licence"}
        assert each.author
        assert each.origin
        assert re.fullmatch(r"[0-9a-f]{64}", each.file.sha256)
        assert each.file.mirrors[0].member.endswith(each.file.name.rsplit(".", maxsplit=1)[-1])


def test_they_come_with_their_sources_and_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "samples", lambda: (sample("a.jpg", "toy-1.tar.gz"), sample("b.png", "toy-1.tar.gz")))
    pack(tmp_path / "packages", "toy-1.tar.gz", "a.jpg", "b.png")
    heard = Heard()
    with progress.listening(heard):
        folder = samples.fetch()

    assert [path.name for path in find_pictures(folder)] == ["a.jpg", "b.png"]
    assert (folder / "SOURCES.txt").read_text() == (
        "a.jpg: a thing. By Somebody, CC0, from somewhere\nb.png: a thing. By Somebody, CC0, from somewhere\n"
    )
    ((message, fix),) = heard.warnings
    assert "these 2 sample pictures" in message
    assert "300 or more pictures of your own" in fix


def test_a_package_that_cannot_be_had_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "samples", lambda: (sample("a.jpg", "gone-1.tar.gz"), sample("b.png", "toy-1.tar.gz")))
    pack(tmp_path / "packages", "toy-1.tar.gz", "b.png")
    heard = Heard()
    with progress.listening(heard):
        folder = samples.fetch()

    assert [path.name for path in find_pictures(folder)] == ["b.png"]
    assert "a.jpg cannot be fetched" in heard.warnings[0][0]
    assert "these 1 sample pictures" in heard.warnings[1][0]


def test_none_at_all_is_an_error():
    with pytest.raises(ToolchainError, match=r"astronaut\.png cannot be fetched") as error:
        samples.fetch()
    assert "put it at" in error.value.fix
