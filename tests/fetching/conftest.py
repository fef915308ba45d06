"""A package index of our own on this machine, and a pip that knows only that one."""

import hashlib
import io
import json
import tarfile
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CONTENT = bytes(range(256)) * 400
SETUP = "import pathlib; pathlib.Path(__file__).with_name('executed').touch(); raise SystemExit('setup.py ran')\n"


class Site(ThreadingHTTPServer):
    """Serves ``pages`` (path -> bytes) and counts requests; paths in ``broken`` break off once, after half."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.types, self.hits, self.broken = {}, {}, Counter(), set()
        self.headers_seen = {}

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server
        site.hits[self.path] += 1
        site.headers_seen[self.path] = dict(self.headers)
        page = site.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", site.types.get(self.path, "text/html"))
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.path in site.broken:
            site.broken.discard(self.path)
            page = page[: len(page) // 2]
        self.wfile.write(page)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = Site()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def sdist():
    """A source archive whose setup.py would tell if it ran."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as package:
        for name, data in {
            "setup.py": SETUP.encode(),
            "PKG-INFO": b"Name: Toy.Pack\n",
            "data/model.bin": CONTENT,
        }.items():
            item = tarfile.TarInfo(f"toy_pack-1.0/{name}")
            item.size = len(data)
            package.addfile(item, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def publish(site, sdist):
    """Put the archive into the index, as HTML or JSON."""

    def put(form="html", sha256=None):
        digest = sha256 or hashlib.sha256(sdist).hexdigest()
        site.pages["/files/toy_pack-1.0.tar.gz"] = sdist
        if form == "json":
            files = [
                {
                    "filename": "toy_pack-1.0.tar.gz",
                    "url": "../../files/toy_pack-1.0.tar.gz",
                    "hashes": {"sha256": digest},
                }
            ]
            site.pages["/simple/toy-pack/"] = json.dumps({"files": files}).encode()
            site.types["/simple/toy-pack/"] = "application/vnd.pypi.simple.v1+json"
        else:
            link = f'<a href="../../files/toy_pack-1.0.tar.gz#sha256={digest}">toy_pack-1.0.tar.gz</a>'
            site.pages["/simple/toy-pack/"] = f"<!DOCTYPE html><html><body>{link}<br></body></html>".encode()

    return put


@pytest.fixture(autouse=True)
def own_pip(monkeypatch, tmp_path, site):
    """No configuration but the site's index, an empty cache, and no proxy in between."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.address}/simple")
    monkeypatch.setenv("POLYYOLO_CACHE", str(tmp_path / "cache"))
