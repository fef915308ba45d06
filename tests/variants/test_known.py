import pytest

from polyyolo.errors import InputError
from polyyolo.records import Precision, Route
from polyyolo.variants.known import NAMES, named


def test_every_variant_has_its_precision_and_route():
    assert [(each.name, each.precision, each.route) for each in named(NAMES)] == [
        ("fp32", Precision.FP32, Route.QDQ),
        ("fp16", Precision.FP16, Route.QDQ),
        ("int8-qdq", Precision.INT8, Route.QDQ),
        ("int8-calibrated", Precision.INT8, Route.CALIBRATED),
    ]


def test_the_order_is_always_the_same_and_none_comes_twice():
    assert [each.name for each in named(["int8-qdq", "fp32", "int8-qdq"])] == ["fp32", "int8-qdq"]


@pytest.mark.parametrize(("names", "told"), [(["int4"], "there is no variant 'int4'"), ([""], "''"), ([], "is named")])
def test_what_is_no_variant_is_refused_with_the_ones_there_are(names, told):
    with pytest.raises(InputError, match=told) as error:
        named(names)
    assert error.value.fix == "choose among fp32, fp16, int8-qdq, int8-calibrated"
