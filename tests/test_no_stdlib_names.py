"""Polygraphy puts a loader's folder first on sys.path: no neighbour may shadow the standard library."""

import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("folder", ["polyyolo", "data_loaders"])
def test_no_module_has_the_name_of_one_in_the_standard_library(folder):
    names = {path.stem for path in (PROJECT / folder).iterdir() if path.suffix == ".py" or path.is_dir()}

    assert "loader" in names or "letterbox_folder" in names
    assert names & sys.stdlib_module_names == set()
