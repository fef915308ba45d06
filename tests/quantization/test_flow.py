"""What keeping nodes in float costs in time, borders included."""

import onnx
import pytest

from polyyolo.models.spec import read_spec
from polyyolo.quantization.flow import MACS_PER_BYTE, MACS_PER_KERNEL, Flow, flow_of
from polyyolo.quantization.work import macs_of

CHAIN = {"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": set()}
WORK = {"a": 1000, "b": 1000, "c": 1000, "d": 1000}
VALUES = {"a": 1, "b": 1, "c": 0, "d": 0}


@pytest.mark.parametrize(
    ("in_float", "chosen", "kernels", "moved"),
    [
        ("", "", 0, 0),
        ("", "a", 1, 4),  # what a gives is quantized
        ("", "b", 2 + 1, 10 + 4),  # a gives FP16 to b alone, and what b gives is quantized
        ("", "ab", 1 + 1, 2 + 4),  # nothing is converted between them
        ("", "abcd", 1 + 1 + 1 + 1, 2 + 2),
        ("", "d", 3 + 1, 13),  # b gives both, FP16 and INT8
        ("d", "", 3 + 1, 13),
        ("d", "b", 2 + 1 + 1, 10 + 4),
        ("cd", "b", 2 + 1 + 1 + 1, 10 + 2),
    ],
)
def test_each_border_of_float_has_its_kernels(in_float, chosen, kernels, moved):
    flow = Flow(WORK, CHAIN, VALUES, frozenset(in_float))

    work = 1000 * len({*in_float, *chosen})
    assert flow.cost(tuple(chosen)) == work + MACS_PER_KERNEL * kernels + MACS_PER_BYTE * moved


def test_the_time_of_a_model_is_its_work_and_a_kernel_for_each_node():
    assert Flow(WORK, CHAIN, VALUES).time == 4000 + 4 * MACS_PER_KERNEL


def test_nodes_are_joined_where_one_computes_from_the_other():
    flow = Flow(WORK, {"a": {"b", "c"}, "b": {"c"}, "c": set()})

    assert flow.joins(("a",), ("b",))
    assert flow.joins(("c",), ("a",))
    assert flow.joins(("a", "b"), ("c",))
    assert not flow.joins(("c",), ("d",))
    assert not flow.joins(("b",), ("b",))


def test_a_whole_model_is_followed_through_concat_split_and_add(little_yolo):
    spec = read_spec(little_yolo)

    flow = flow_of(spec, (64, 64))

    assert flow.macs == macs_of(spec, (64, 64))
    assert flow.in_float == {"h3", "h4", "h5"}
    assert flow.readers["cv1_conv"] == {"m1_conv", "cv2_conv"}
    assert flow.readers["m2_conv"] == {"cv2_conv"}
    assert flow.readers["p3_conv"] == {"p4_conv", "h3"}
    assert flow.readers["p5_conv"] == {"top_conv"}
    assert flow.values["stem_conv"] == 8 * 32 * 32


@pytest.mark.parametrize(("side", "wide"), [(1, set()), (3, set()), (5, {"a"}), (6, {"a"}), (7, {"a"})])
def test_a_wide_kernel_on_the_picture_comes_first(fragment, tmp_path, side, wide):
    text = "a = Conv<pads = [3, 3, 3, 3]>(x, w1)  b = Conv<pads = [3, 3, 3, 3]>(a, w2)"
    onnx.save(
        fragment(text, "b", x=(1, 3, 16, 16), w1=(8, 3, side, side), w2=(8, 8, side, side)), tmp_path / "wide.onnx"
    )

    flow = flow_of(read_spec(tmp_path / "wide.onnx"), (16, 16))

    assert flow.wide_on_picture == wide
