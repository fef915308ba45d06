"""Ranges of Q/DQ models that other tools made, for the FP32 model that they came from."""

import numpy as np
import onnx
import pytest

from polyyolo.calibration.exchange import to_table
from polyyolo.errors import ModelError, TableError
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import placement_of
from polyyolo.quantization.scales import scales_of
from polyyolo.records import Preprocessing

EVERYTHING = FloatBudget()
RGB, RGB_OUT = (1, 3, 16, 16), "float[1,8,16,16] y"


@pytest.fixture
def little(little_yolo):
    return read_spec(little_yolo)


def quantized(spec, size):
    """Give a Q/DQ model with a range of its own for each tensor, and those ranges, tied as Q/DQ ties them."""
    placement = placement_of(spec, size, EVERYTHING)
    own = {name: 1.0 + number for number, name in enumerate(placement.observed)}
    tied = {
        name: max(own[other] for other in group if other in own)
        for group in placement.groups
        for name in group
        if name in own
    }
    return insert(load(spec.path), placement, to_table(own, spec, Preprocessing(size))), tied


def renamed(model):
    """Number every tensor but inputs and outputs, as exporters do, and shuffle what the order leaves open."""
    kept = {tensor.name for tensor in (*model.graph.input, *model.graph.output)}
    numbers = {}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if name in kept | {""} else numbers.setdefault(name, str(len(numbers))) for name in names]
    for initializer in model.graph.initializer:
        initializer.name = numbers.get(initializer.name, initializer.name)
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return model


@pytest.fixture
def stored(tmp_path):
    def store(model):
        onnx.save(model, tmp_path / "qdq.onnx")
        return tmp_path / "qdq.onnx"

    return store


@pytest.fixture
def chain(fragment, stored, tmp_path):
    """Write two convolutions in a row, as FP32 and with ``body`` around the same weights."""

    def write(body, opset=17, **constants):
        weights = {"w": (8, 3, 1, 1), "v": (8, 8, 1, 1)}
        plain = tmp_path / "plain.onnx"
        onnx.save(fragment("h = Conv(x, w)\n y = Conv(h, v)", RGB_OUT, x=RGB, **weights), plain)
        return read_spec(plain), stored(fragment(body, RGB_OUT, x=RGB, opset=opset, constants=constants, **weights))

    return write


@pytest.mark.parametrize("name", ["yolov5s-640", "yolov8n-640", "yolov4-tiny-416"])
def test_every_range_is_found_though_every_tensor_was_renamed(models, stored, name):
    spec = read_spec(models / f"{name}.onnx")
    model, tied = quantized(spec, spec.image_input.dims[2:])

    found = scales_of(stored(renamed(model)), spec)

    assert found.ranges == pytest.approx(tied, rel=2e-3)
    assert set(found.by_structure) == set(tied) - {"images"}


def test_names_that_stayed_are_matched_and_the_head_is_listed_as_missing(little, stored):
    model, tied = quantized(little, (64, 64))

    found = scales_of(stored(model), little)

    assert {**found.ranges, "top": 12.0} == pytest.approx(tied, rel=2e-3)
    assert (dict(found.by_structure), found.missing) == ({}, ("top", "middle"))


def test_onnx_runtimes_own_quantizer_is_understood(little, stored):
    """It quantizes asymmetrically by default: uint8 with zero-points, the outputs of convolutions too."""
    from onnxruntime import quantization

    class Noise(quantization.CalibrationDataReader):
        def __init__(self):
            generator = np.random.default_rng(0)
            self.feeds = iter([{"images": generator.random((1, 3, 64, 64), np.float32)} for _ in range(3)])

        def get_next(self):
            return next(self.feeds, None)

    path = stored(onnx.ModelProto())
    quantization.quantize_static(str(little.path), str(path), Noise())

    found = scales_of(path, little)

    assert found.missing == ()
    assert found.ranges["images"] == pytest.approx(1.0, rel=0.01)
    assert set(found.by_structure) == set()


def test_fine_tuned_weights_under_other_names_are_still_the_same_layers(little, stored):
    model, tied = quantized(little, (64, 64))
    generator = np.random.default_rng(0)
    for initializer in model.graph.initializer:
        if initializer.name.endswith("_w"):
            values = onnx.numpy_helper.to_array(initializer)
            noise = generator.normal(0, 0.2 * values.std(), values.shape)
            initializer.CopyFrom(onnx.numpy_helper.from_array(np.float32(values + noise), initializer.name))

    found = scales_of(stored(renamed(model)), little)

    assert {**found.ranges, "top": 12.0} == pytest.approx(tied, rel=2e-3)


def pairs(tensor, scale="one"):
    inner = f"{tensor}_q = QuantizeLinear({tensor}, {scale}, zero)\n"
    return inner + f"{tensor}_d = DequantizeLinear({tensor}_q, {scale}, zero)\n"


def test_equal_names_of_other_layers_are_not_believed(fragment, stored, tmp_path):
    """Exporters that number their tensors give a layer's name to its neighbour."""
    weights = {"one": (8, 3, 1, 1), "two": (8, 3, 1, 1), "v": (8, 8, 1, 1), "w": (8, 8, 1, 1)}
    body = "p = Conv(x, one)\n q = Conv(x, two)\n p_v = Conv(p, v)\n q_w = Conv(q, w)\n y = Add(p_v, q_w)"
    swapped = (
        "q = Conv(x, one)\n p = Conv(x, two)\n"
        + pairs("q", "a")
        + pairs("p", "b")
        + "q_w = Conv(q_d, v)\n p_v = Conv(p_d, w)\n y = Add(p_v, q_w)"
    )
    constants = {"a": np.float32(1), "b": np.float32(2), "zero": np.int8(0)}
    plain = tmp_path / "plain.onnx"
    onnx.save(fragment(body, RGB_OUT, x=RGB, **weights), plain)

    found = scales_of(stored(fragment(swapped, RGB_OUT, x=RGB, constants=constants, **weights)), read_spec(plain))

    assert found.ranges == {"p": 127.0, "q": 254.0}
    assert found.by_structure == {"p": "q", "q": "p"}
    assert found.missing == ("x",)


@pytest.mark.parametrize(
    ("zero", "dtype", "amax"),
    [(0, np.int8, 127.0), (-128, np.int8, 255.0), (10, np.int8, 138.0), (0, np.uint8, 255.0), (128, np.uint8, 128.0)],
)
def test_a_zero_point_shifts_how_far_the_integers_reach(chain, zero, dtype, amax):
    spec, path = chain(pairs("x") + "h = Conv(x_d, w)\n y = Conv(h, v)", one=np.float32(1), zero=dtype(zero))

    found = scales_of(path, spec)

    assert (found.ranges, found.missing) == ({"x": amax}, ("h",))


@pytest.mark.parametrize(("output_dtype", "amax"), [(3, 127.0), (2, 255.0)])
def test_without_a_zero_point_the_type_is_that_of_the_integers(chain, output_dtype, amax):
    pair = f"x_q = QuantizeLinear<output_dtype = {output_dtype}>(x, one)\n x_d = DequantizeLinear(x_q, one)\n"
    spec, path = chain(pair + "h = Conv(x_d, w)\n y = Conv(h, v)", opset=21, one=np.float32(1))

    assert scales_of(path, spec).ranges == {"x": amax}


def test_a_type_that_nothing_tells_is_onnxs_default(chain):
    pair = (
        "x_q = QuantizeLinear(x, one)\n x_r = Reshape(x_q, same)\n x_r2 = Identity(x_r)\n"
        "x_d = DequantizeLinear(x_r2, one)\n"
    )
    body = pair + "h = Conv(x_d, w)\n y = Conv(h, v)"
    spec, path = chain(body, opset=21, one=np.float32(1), same=np.array([0, 0, 0, 0]))
    model = onnx.load(path)
    del model.graph.value_info[:]
    onnx.save(model, path)

    assert list(scales_of(path, spec).ranges.values()) == [255.0]


def test_casts_between_an_activation_and_its_q_are_seen_through(chain):
    body = "c = Cast<to = 10>(h)\n" + pairs("c") + "f = Cast<to = 1>(c_d)\n y = Conv(f, v)"
    spec, path = chain("h = Conv(x, w)\n" + body, opset=19, one=np.float16(0.5), zero=np.int8(0))

    assert scales_of(path, spec).ranges == {"h": 63.5}


def test_of_several_pairs_behind_a_concat_the_widest_counts(fragment, stored, tmp_path):
    weights = {"w": (8, 3, 1, 1), "v": (8, 11, 1, 1)}
    start = "h = Conv(x, w)\n"
    plain = tmp_path / "plain.onnx"
    onnx.save(fragment(f"{start} s = Concat<axis = 1>(x, h)\n y = Conv(s, v)", RGB_OUT, x=RGB, **weights), plain)
    body = start + pairs("x", "a") + pairs("h", "b") + "s = Concat<axis = 1>(x_d, h_d)\n y = Conv(s, v)"
    constants = {"a": np.float32(1), "b": np.float32(3), "zero": np.int8(0)}

    found = scales_of(stored(fragment(body, RGB_OUT, x=RGB, constants=constants, **weights)), read_spec(plain))

    assert (found.ranges, found.missing) == ({"s": 381.0}, ("x",))


def test_a_scale_that_is_computed_is_refused(chain):
    spec, path = chain(
        "t = Add(one, one)\n" + pairs("x", "t") + "h = Conv(x_d, w)\n y = Conv(h, v)",
        one=np.float32(1),
        zero=np.int8(0),
    )

    with pytest.raises(ModelError, match="zero-point 't' of") as error:
        scales_of(path, spec)

    assert "fold-constants" in error.value.fix


def test_a_model_without_qdq_is_refused(little):
    with pytest.raises(ModelError, match="has no DequantizeLinear"):
        scales_of(little.path, little)


def test_another_models_scales_are_refused(models, little, stored):
    path = stored(quantized(little, (64, 64))[0])

    with pytest.raises(TableError, match="none of the 11 quantized nodes"):
        scales_of(path, read_spec(models / "yolov4-tiny-416.onnx"))
