"""Folders of results hold results and nothing else."""

import pytest

from polyyolo.errors import InputError
from polyyolo.folders import refuse_foreign


def test_a_new_folder_an_empty_one_and_one_with_hidden_files_will_do(tmp_path):
    refuse_foreign(tmp_path / "new", "a run")
    refuse_foreign(tmp_path, "a run")
    (tmp_path / ".lock").touch()
    refuse_foreign(tmp_path, "a run")


def test_one_file_of_somebody_else_is_too_much(tmp_path):
    for name in ("fp16", "holiday.jpg", "notes.txt"):
        (tmp_path / name).touch()

    with pytest.raises(InputError, match=r"holds other things than a comparison, as holiday\.jpg") as refused:
        refuse_foreign(tmp_path, "a comparison", ("fp16", "int8-qdq"))

    assert refused.value.fix == "choose a new or an empty folder with -o"
