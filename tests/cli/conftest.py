"""The command line in this process."""

import pytest

from polyyolo.cli import main


@pytest.fixture
def polyyolo(capsys):
    """Run a command line; gives exit code, standard output and standard error."""

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run
