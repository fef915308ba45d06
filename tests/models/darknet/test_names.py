"""Class names come from the file that belongs to the cfg."""

import pytest

from polyyolo import progress
from polyyolo.errors import ModelError
from polyyolo.models.darknet.names import COCO, class_names


class Heard(progress.Silent):
    def __init__(self):
        self.said = []

    def noted(self, message):
        self.said.append(message)

    def warned(self, message, fix):
        self.said.append(f"{message}; {fix}")


@pytest.mark.parametrize("file", ["small.names", "obj.names", "coco.names"])
def test_a_names_file_beside_the_cfg_is_used_and_said(tmp_path, file):
    (tmp_path / file).write_text("cat\n dog \n\n")
    assert class_names(tmp_path / "small.cfg", 2) == ("cat", "dog")


def test_eighty_classes_without_a_file_are_cocos_and_that_is_said(tmp_path):
    heard = Heard()
    with progress.listening(heard):
        names = class_names(tmp_path / "small.cfg", 80)

    assert (len(COCO), len(set(COCO)), names[0], names[-1]) == (80, 80, "person", "toothbrush")
    assert heard.said == ["no .names file beside small.cfg: its 80 classes are taken for COCO's"]


def test_other_counts_without_a_file_have_no_names(tmp_path):
    heard = Heard()
    with progress.listening(heard):
        assert class_names(tmp_path / "small.cfg", 2) == ()
    assert "put the 2 names into" in heard.said[0]


def test_a_foreign_names_file_is_passed_over(tmp_path):
    (tmp_path / "coco.names").write_text("cat\n")
    assert class_names(tmp_path / "small.cfg", 2) == ()


def test_a_count_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "small.names").write_text("cat\n")
    with pytest.raises(ModelError, match="1 class names for 2 classes"):
        class_names(tmp_path / "small.cfg", 2)
    with pytest.raises(ModelError, match="3 class names for 2 classes"):
        class_names(tmp_path / "small.cfg", 2, ("a", "b", "c"))
