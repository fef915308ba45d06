"""What trtexec exports, read back."""

import json

import numpy as np
import pytest

from polyyolo.engines.trtexec_outputs import read_bytes, read_outputs


def test_what_c_prints_for_no_number_is_read_as_that():
    text = (
        '[ { "name" : "nan, inf"\n  , "dimensions" : "2x3"\n  , "values" : [ nan, -nan, inf, -inf, 1e-05, 7 ]\n  }\n]'
    )

    outputs = read_outputs(text)

    np.testing.assert_array_equal(
        outputs["nan, inf"], np.array([[np.nan, np.nan, np.inf], [-np.inf, 1e-05, 7]], np.float32)
    )


@pytest.mark.parametrize(
    "text", ["[" * 100_000, json.dumps([{"name": "a", "dimensions": "1", "values": [10**400]}])], ids=["deep", "huge"]
)
def test_values_that_no_array_can_hold_are_refused(text):
    with pytest.raises(ValueError, match=r"recursion|too large"):
        read_outputs(text)


def test_bytes_are_read_as_the_log_names_them_in_both_spellings_of_types(tmp_path):
    """The names of files are not those of tensors: what is odd in them is replaced."""
    first, second = np.array([[1 / 3, np.nan]], np.float32), np.array([0.1], np.float16)
    first.tofile(tmp_path / "a_b.output.1.2.Float.raw")
    second.tofile(tmp_path / "c.output.1.fp16.raw")
    log = (
        "[11/20/2026-04:30:37] [I] Writing file for input binding x (with datatype Float and dimensions 1) to x.raw\n"
        "[11/20/2026-04:30:37] [I] Writing file for output binding a/b (with datatype Float and dimensions 1.2) to "
        "a_b.output.1.2.Float.raw\n"
        "Writing file for output binding c (with datatype fp16 and dimensions 1) to c.output.1.fp16.raw\n"
    )

    outputs = read_bytes(log, tmp_path)

    assert list(outputs) == ["a/b", "c"]
    np.testing.assert_array_equal(outputs["a/b"], first)
    np.testing.assert_array_equal(outputs["c"], second)
    assert outputs["c"].dtype == np.float16
