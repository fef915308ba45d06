"""A machine of scripts and packages by hand."""

import sys

import pytest

from polyyolo.engines import programs

PYTHON = sys.executable


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Make a machine of given programs (name: shell script) and nothing else; its Python is the real one."""
    folder = tmp_path / "machine"
    folder.mkdir()

    def make(**scripts):
        for name, body in {"python": f'exec {PYTHON} "$@"', **scripts}.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(0o755)
        return folder

    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("TRTEXEC", raising=False)
    monkeypatch.setattr(programs, "TRTEXEC_FOLDERS", ())
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return make


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Install packages by hand: name -> version, its requirements, and what its module does when imported."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(str(folder))

    def install(name, version, requires=(), module=None):
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {each}" for each in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        if module is not None:
            (folder / f"{name.replace('-', '_')}.py").write_text(module)

    return install
