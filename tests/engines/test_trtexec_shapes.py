"""Shapes as trtexec writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.engines.trtexec_shapes import read_shapes, spelled

NAMES = st.text(min_size=1).filter(lambda name: "'" not in name)
SHAPES = st.lists(st.integers(0, 4096), min_size=1, max_size=5).map(tuple)


@given(st.dictionaries(NAMES, SHAPES, min_size=1, max_size=3))
def test_whatever_the_names_hold_what_is_written_is_read_back(shapes):
    assert dict(read_shapes(spelled(shapes))) == shapes


def test_names_are_quoted_where_trtexec_would_split_them():
    assert spelled({"images": (1, 3), "a:0": (2,), "b,c": (3,)}) == "images:1x3,'a:0':2,'b,c':3"


def test_a_shape_alone_has_no_name():
    assert read_shapes("1x3x640x640") == (("", (1, 3, 640, 640)),)


@pytest.mark.parametrize("text", ["", "images", "images:", "images:1x", "images:-1x3"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        read_shapes(text)
