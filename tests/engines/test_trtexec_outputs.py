"""What trtexec exports, read back."""

import numpy as np

from polyyolo.engines.trtexec_outputs import read_outputs


def test_what_c_prints_for_no_number_is_read_as_that():
    text = (
        '[ { "name" : "nan, inf"\n  , "dimensions" : "2x3"\n  , "values" : [ nan, -nan, inf, -inf, 1e-05, 7 ]\n  }\n]'
    )

    outputs = read_outputs(text)

    np.testing.assert_array_equal(
        outputs["nan, inf"], np.array([[np.nan, np.nan, np.inf], [-np.inf, 1e-05, 7]], np.float32)
    )
