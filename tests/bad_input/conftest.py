"""The real command line on a small model, in this process or in one of its own."""

import shutil
import subprocess
import sys

import pytest

from polyyolo.cli import main


@pytest.fixture
def engine(capsys, little_yolo, little_pictures, tmp_path):
    """Run ``polyyolo engine`` with more words; gives exit code, standard output and standard error.

    Without ``model`` and ``output`` it takes a good model and ``tmp_path / "run"``; nothing is built.
    """

    def run(*words, model=little_yolo, output=tmp_path / "run"):
        with pytest.raises(SystemExit) as left:
            main([*usual(model, little_pictures, output), *map(str, words)])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


@pytest.fixture
def refused(engine, tmp_path):
    """See that ``polyyolo engine`` refuses with one error and one fix, before it writes anything; gives the error."""

    def run(*words, **others):
        left, out, err = engine(*words, **others)
        assert (left, out) == (2, "")
        assert err.startswith("error: ")
        assert [err.count(word) for word in ("error: ", "  fix: ", "Traceback")] == [1, 1, 0]
        assert not (tmp_path / "run").exists()
        return err

    return run


@pytest.fixture(scope="module")
def first(little_yolo, little_pictures, tmp_path_factory):
    """The folder of one run, made once."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    with pytest.raises(SystemExit):
        main(usual(little_yolo, little_pictures, folder))
    return folder


@pytest.fixture
def earlier(first, tmp_path):
    """A copy of it, where ``engine`` writes."""
    return shutil.copytree(first, tmp_path / "run")


@pytest.fixture
def process(little_yolo, little_pictures, tmp_path):
    """Start the same command line in a process of its own, after ``prelude``."""

    def start(*words, prelude=""):
        code = f"import sys\n{prelude}\nfrom polyyolo.cli import main\nmain(sys.argv[1:])"
        return subprocess.Popen(
            [sys.executable, "-c", code, *usual(little_yolo, little_pictures, tmp_path / "run"), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def usual(model, pictures, output):
    words = ("engine", model, "--images", pictures, "--toolchain", "none", "--quiet", "-o", output)
    return list(map(str, words))
