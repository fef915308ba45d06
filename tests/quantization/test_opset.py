"""Models of older operator sets are raised to the one that their Q/DQ nodes need."""

import pytest

from polyyolo.errors import ModelError
from polyyolo.models.reading import opset_of
from polyyolo.quantization.opset import AXIS_OPSET, raised


@pytest.mark.parametrize("opset", [13, 17])
def test_a_model_that_is_new_enough_is_left_as_it_is(fragment, opset):
    model = fragment("y = Relu(x)", opset=opset)

    assert raised(model, AXIS_OPSET, "scales") is model


def test_an_older_model_is_raised_in_a_copy(fragment):
    model = fragment("y = Relu(x)", opset=11)

    assert opset_of(raised(model, AXIS_OPSET, "scales")) == 13
    assert opset_of(model) == 11


def test_what_onnx_cannot_convert_is_refused_with_the_operator_set_to_export_with(fragment):
    with pytest.raises(ModelError, match="operator set 11 cannot be raised to 999, which scales need") as refused:
        raised(fragment("y = Relu(x)", opset=11), 999, "scales")

    assert "opset 999" in refused.value.fix
