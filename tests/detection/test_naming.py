"""Results are named after their pictures, and no two alike."""

from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.detection.naming import result_names


@pytest.mark.parametrize(
    ("pictures", "names"),
    [
        (["in/a.jpg", "in/b.png"], ["a", "b"]),
        (["in/x/a.jpg", "in/y/a.jpg"], ["x/a", "y/a"]),
        (["in/a.jpg", "in/a.png", "in/b.jpg"], ["a.jpg", "a.png", "b"]),
        (["in/a.jpg", "in/A.jpg"], ["a.jpg", "A.jpg-2"]),
        (["in/a.jpg", "in/a.png", "in/a.jpg.bmp"], ["a.jpg-2", "a.png", "a.jpg"]),
        (["one/deep/a.jpg"], ["a"]),
        (["in/" + "ö" * 125 + "a.jpg", "in/" + "ö" * 125 + "a.png"], ["ö" * 125 + "a", "ö" * 124 + "-2"]),
        (["in/" + "a" * 255, "in/b.jpg"], ["a" * 251, "b"]),
        (["../up/a.jpg", "b.jpg"], None),
    ],
)
def test_names_follow_the_pictures_below_the_folder_they_share(pictures, names, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert result_names([Path(each) for each in pictures]) == tuple(names or ["up/a", "here/b"])


PARTS = st.sampled_from(["a", "A", "a.jpg", "b", "a.jpg-2", "ö"])
PATHS = st.builds(
    lambda folders, stem, ending: Path("in", *folders, stem + ending),
    st.lists(PARTS, max_size=2),
    PARTS,
    st.sampled_from([".jpg", ".png", ".JPG"]),
)


@given(st.lists(PATHS, min_size=1, max_size=12, unique=True))
def test_no_two_pictures_share_a_name_and_none_leaves_the_folder(pictures):
    names = result_names(pictures)

    assert len({name.lower() for name in names}) == len(pictures)
    assert not any(PurePath(name).is_absolute() or ".." in PurePath(name).parts for name in names)
