"""Metadata is text from strangers: what can be read is read, nothing is run, nothing raises."""

import json
from pathlib import Path

import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polyyolo.models.metadata import (
    anchors_in,
    entries_for,
    head_in,
    largest_stride_in,
    names_in,
    scale_xy_in,
    strides_in,
    with_metadata,
)
from polyyolo.records import Head, HeadKind

KEYS = ("names", "stride", "strides", "anchors", "scale_xy", "head")
TEXT = st.text(st.characters(codec="ascii"))
SIZES = st.floats(1, 2000, width=32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{0: 'cat', 1: \"dog's\"}", ("cat", "dog's")),
        ("['cat', 'dog']", ("cat", "dog")),
        ('{"0": "cat", "1": "dog"}', ("cat", "dog")),
        ('["cat", "dog"]', ("cat", "dog")),
        ("{1: 'dog', 3: 'cow'}", ("class 0", "dog", "class 2", "cow")),
        ("{'a': 'cat'}", ()),
        ("{999999999: 'cat'}", ()),
        ("{-1: 'cat'}", ()),
        ("just text", ()),
        ("3", ()),
        ("(" * 100_000, ()),
        ("[" * 100_000, ()),
        ("", ()),
    ],
)
def test_names_are_read_in_every_form_that_exporters_use(text, expected):
    assert names_in({"names": text}) == expected


def test_names_that_are_code_are_not_run(tmp_path):
    trap = tmp_path / "ran"

    assert names_in({"names": f"__import__('pathlib').Path({str(trap)!r}).touch()"}) == ()
    assert not Path(trap).exists()


def test_ultralytics_head_and_stride_are_told_from_our_own():
    assert head_in({"head": "Detect"}) is None
    assert head_in({"head": "v5-raw"}) is HeadKind.V5_RAW
    assert largest_stride_in({"stride": "32"}) == 32
    assert largest_stride_in({"strides": "[8, 16]"}) == 16


@given(
    st.lists(
        st.tuples(st.integers(1, 128), st.lists(st.tuples(SIZES, SIZES), min_size=1), SIZES), min_size=1, max_size=5
    )
)
def test_a_head_written_into_metadata_is_read_back_as_it_was(levels):
    strides, anchors, scales = (tuple(column) for column in zip(*levels, strict=True))
    anchors = tuple(tuple(level) for level in anchors)
    metadata = entries_for(Head(HeadKind.DARKNET_RAW, strides=strides, anchors=anchors, scale_xy=scales))

    assert head_in(metadata) is HeadKind.DARKNET_RAW
    assert (strides_in(metadata), anchors_in(metadata), scale_xy_in(metadata)) == (strides, anchors, scales)


@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        TEXT
        | st.recursive(
            st.integers() | TEXT | st.none() | st.floats(),
            lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
        ).map(json.dumps),
    )
)
@example({"strides": "[Infinity]"})
@example({"strides": "[NaN]"})
@example({"anchors": f"[[[1{400 * '0'}, 1]]]"})
@example({"scale_xy": f"[1{400 * '0'}]"})
def test_no_metadata_whatever_makes_reading_fail(metadata):
    for read in (names_in, strides_in, anchors_in, scale_xy_in):
        assert isinstance(read(metadata), tuple)
    assert largest_stride_in(metadata) >= 0
    assert head_in(metadata) is None or isinstance(head_in(metadata), HeadKind)


def test_metadata_is_replaced_in_a_copy():
    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, {"old": "1"})

    changed = with_metadata(model, {"new": "2"})

    assert [(entry.key, entry.value) for entry in changed.metadata_props] == [("new", "2")]
    assert [entry.key for entry in model.metadata_props] == ["old"]
