"""A run that was packed once, and a machine with a shell and a trtexec to unpack it on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from attrs import frozen

from polyyolo import pipeline
from polyyolo.bundling.pack import Wanted, pack
from polyyolo.records import Request

SHELLS = [name for name in ("dash", "busybox") if shutil.which(name)]

OPEN_BATCH = """[[profile]]
[profile."*"]
min = [2, 3, 64, 64]
opt = [4, 3, 64, 64]
max = [8, 3, 64, 64]
"""


@pytest.fixture(scope="session")
def packed_run(little_dynamic, little_pictures, tmp_path_factory):
    """An INT8 run of a model with an open batch, made where nothing builds engines."""
    folder = tmp_path_factory.mktemp("packed")
    profile = folder / "open.toml"
    profile.write_text(OPEN_BATCH)
    return pipeline.engine(
        Request(
            model=str(little_dynamic),
            images=little_pictures,
            profile=str(profile),
            toolchain="none",
            output=folder / "run",
        )
    )


@pytest.fixture(scope="session")
def bundle(packed_run, tmp_path_factory):
    """That run as a bundle, with a calibration cache; three pictures, which do not fill two queries of two."""
    output = tmp_path_factory.mktemp("bundle") / "bundle"
    return pack(packed_run.folder, output, Wanted(pictures=3, with_cache=True)).path


@pytest.fixture(params=SHELLS)
def shell(request):
    """Each POSIX shell that is here."""
    return request.param


@frozen
class Said:
    """How a script ended, and what it said on both streams."""

    status: int
    text: str


@frozen
class Box:
    """Another machine: the bundle's folder on it, and a PATH with a POSIX shell's own programs."""

    folder: Path
    path: str

    def run(self, script, *words, shell="sh", trtexec=None, **environment):
        """Run one of the bundle's scripts, from another folder."""
        told = {"TRTEXEC": str(trtexec)} if trtexec else {}
        interpreter = [shutil.which(shell), *(["sh"] if shell == "busybox" else [])]
        done = subprocess.run(
            [*interpreter, str(self.folder / script), *words],
            env={"PATH": self.path, **told, **environment},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Said(done.returncode, done.stdout + done.stderr)


NEEDED = ("awk", "cat", "cp", "cut", "date", "dd", "dirname", "grep", "head", "mkdir", "mv", "od", "rm", "sed", "sh")
NEEDED += ("sha256sum", "sleep", "tail", "touch", "tr", "wc")


@pytest.fixture
def box(bundle, tmp_path):
    """A machine whose path to the bundle would break careless quoting, and that has nothing but POSIX on its PATH."""
    programs = tmp_path / "posix bin"
    programs.mkdir()
    for name in NEEDED:
        (programs / name).symlink_to(shutil.which(name))
    folder = tmp_path / 'it\'s "here" $HOME & there'
    shutil.copytree(bundle, folder)
    return Box(folder, os.fspath(programs))
