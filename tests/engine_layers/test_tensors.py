"""Types and layouts as TensorRT's releases word them."""

import pytest

from polyyolo.engine_layers.tensors import read_tensor


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Row major linear FP32", "FP32 NCHW"),
        ("Row major linear FP16 format", "FP16 NCHW"),
        ("Row major linear FP32 format (kLINEAR)", "FP32 NCHW"),
        ("Channel major FP16 format where channel % 8 == 0", "FP16 NHWC8"),
        ("Channel major FP16 format where channel == 4 and column stride % 32 == 0", "FP16 NHWC4"),
        ("Channel major FP32 format", "FP32 NHWC"),
        ("Two wide channel vectorized row major FP16 format", "FP16 NC/2HW2"),
        ("Thirty-two wide channel vectorized row major Int8 format.", "INT8 NC/32HW32"),
        ("Half", "FP16"),
        ("Int8", "INT8"),
        ("Float", "FP32"),
        ("N/A due to dynamic shapes", ""),
    ],
)
def test_the_words_of_tensorrt_8_and_10_become_type_and_layout(words, told):
    tensor = read_tensor({"Name": "x", "Dimensions": [1, 3], "Format/Datatype": words})

    assert (str(tensor), tensor.name, tensor.dims) == (told, "x", (1, 3))


def test_tensorrt_11_tells_the_type_apart_from_the_format_whose_words_may_name_another():
    tensor = read_tensor({"Name": "x", "Datatype": "Int64", "Format": "Row major linear INT8 format (kLINEAR)"})

    assert str(tensor) == "INT64 NCHW"
