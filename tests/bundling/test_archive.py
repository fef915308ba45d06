"""A bundle appears whole or not at all."""

from pathlib import Path

import pytest

from polyyolo.bundling.archive import appearing


def test_an_interrupt_while_the_folder_is_made_leaves_none(tmp_path, monkeypatch):
    make = Path.mkdir

    def interrupted(self, *args, **how):
        make(self, *args, **how)
        if self.name.startswith("."):
            raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.mkdir", interrupted)

    with pytest.raises(KeyboardInterrupt), appearing(tmp_path / "bundle"):
        pass

    assert list(tmp_path.iterdir()) == []
