"""A machine of scripts and packages by hand."""

import sys
from functools import partial

import pytest

PYTHON = sys.executable


@pytest.fixture
def machine(programs):
    """Make a machine of given programs (name: shell script) and nothing else; its Python is the real one."""
    return partial(programs, python=f'exec {PYTHON} "$@"')


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Install packages by hand: name -> version, its requirements, what its module does when imported, and its name."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(str(folder))

    def install(name, version, requires=(), module=None, gives=""):
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {each}" for each in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        gives = gives or name.replace("-", "_")
        (info / "top_level.txt").write_text(gives)
        if module is not None:
            (folder / f"{gives}.py").write_text(module)

    return install
