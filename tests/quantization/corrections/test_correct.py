"""Weights corrected by what a model reads on pictures."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from polyyolo import progress
from polyyolo.errors import InputError
from polyyolo.images.choose import choose
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.corrections import correct as corrections
from polyyolo.quantization.corrections.correct import clipped, correct
from polyyolo.quantization.corrections.moments import PATCHES, measure
from polyyolo.quantization.corrections.treatment import Treatment
from polyyolo.quantization.corrections.windows import window_of
from polyyolo.quantization.graph import imported
from polyyolo.quantization.insertion import insert, weight_scales
from polyyolo.quantization.topology import identity
from polyyolo.records import Preprocessing

SQUARE = (8, 8, 1, 1)
BOTH = ("rounding", "bias")
FLAT = """a = Conv<pads = [1, 1, 1, 1]>(x, w1)  b = Relu(a)  c = Conv<pads = [1, 1, 1, 1]>(b, w2, bias)
          d = Relu(c)  y = Conv(d, w3)"""
WEIGHTS = {"w1": (8, 3, 3, 3), "w2": (8, 8, 3, 3), "w3": SQUARE, "bias": (8,)}
PICTURES = 8


class Heard(progress.Silent):
    def __init__(self):
        self.said, self.steps = [], []

    def noted(self, message):
        self.said.append(message)

    def started(self, step, total):
        self.steps.append((step, total))

    def advanced(self, step, count):
        self.steps.append((step, -count))


@pytest.fixture
def pictures(tmp_path):
    """Eight pictures in which neighbours are alike, as in any photograph."""
    generator = np.random.default_rng(5)
    rough = generator.random((PICTURES, 3, 4, 4), np.float32)
    np.save(tmp_path / "pictures.npy", rough.repeat(4, axis=2).repeat(4, axis=3) * 0.9 + 0.1)
    return choose(tmp_path / "pictures.npy", Preprocessing((16, 16)), count=PICTURES, batch=1)


@pytest.fixture
def written(fragment, tmp_path):
    """Write a fragment that takes pictures, and tell what it is."""

    def write(body=FLAT, **values):
        path = tmp_path / "fragment.onnx"
        onnx.save(fragment(body, x=(1, 3, 16, 16), **(values or WEIGHTS)), path)
        return read_spec(path)

    return write


def watched(model, names, pictures):
    """Values of some tensors, over all pictures."""
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(model.SerializeToString())
    feeds = np.load(pictures.sources[0])
    return [np.concatenate(each) for each in zip(*(session.run(names, {"x": x[None]}) for x in feeds), strict=True)]


def only_weights(spec, placed, weights):
    """The model with INT8 weights, and activations that are as good as float."""
    made = load(spec.path)
    placement = placed(made)
    named = {identity(node): node.inputs[1].name for node in imported(made).nodes if node.op == "Conv"}
    constants = {tensor.name: tensor for tensor in made.graph.initializer}
    for name in placement.nodes:
        constant = constants[named[name]]
        own = numpy_helper.to_array(constant)
        given = weights[name]
        scales = given.scales.reshape(-1, 1, 1, 1)
        levels = np.round(own / scales) if given.levels is None else given.levels
        constant.CopyFrom(numpy_helper.from_array((levels * scales).astype(np.float32), constant.name))
    return made


def error_of(spec, placed, weights, pictures, name="a"):
    """Squared error of what a convolution gives."""
    (exact,) = watched(load(spec.path), [name], pictures)
    (found,) = watched(only_weights(spec, placed, weights), [name], pictures)
    return float(((found - exact) ** 2).sum())


def test_rounding_that_makes_up_for_its_errors_loses_less_at_the_output(written, placed, pictures):
    spec = written()
    nodes = placed(load(spec.path)).nodes

    plain = error_of(spec, placed, clipped(spec, nodes, "max"), pictures)
    better = error_of(spec, placed, correct(spec, nodes, pictures, Treatment("max", ("rounding",)), None), pictures)

    assert better < 0.5 * plain


@pytest.mark.parametrize("wanted", [("bias",), BOTH], ids=["rounded to the nearest", "rounding corrected"])
def test_the_bias_takes_the_mean_error_of_the_weights(written, placed, tmp_path, wanted):
    """Pictures of one colour each: whatever places are sampled, their mean is that of the whole map."""
    colours = np.random.default_rng(3).random((4, 3, 1, 1), np.float32)
    np.save(tmp_path / "plain.npy", np.broadcast_to(colours, (4, 3, 16, 16)))
    plain = choose(tmp_path / "plain.npy", Preprocessing((16, 16)), count=4, batch=1)
    spec = written("a = Conv(x, w1, bias)  b = Relu(a)  y = Conv(b, w2)", w1=(8, 3, 3, 3), w2=SQUARE, bias=(8,))
    found = correct(spec, placed(load(spec.path)).nodes, plain, Treatment("max", wanted), None)
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in load(spec.path).graph.initializer}["bias"]

    (exact,) = watched(load(spec.path), ["a"], plain)
    (rounded,) = watched(only_weights(spec, placed, found), ["a"], plain)
    error = (exact - rounded).mean(axis=(0, 2, 3))

    assert np.abs(error).max() > 1e-3
    np.testing.assert_allclose(found["a"].bias - before, error, atol=1e-5)


def test_a_convolution_without_a_bias_gets_one_and_another_keeps_one(written, placed, table, pictures):
    spec = written()
    model = load(spec.path)
    placement = placed(model)
    found = correct(spec, placement.nodes, pictures, Treatment("max", BOTH), None)

    made = insert(model, placement, table(dict.fromkeys(placement.observed, 4.0)), found)

    onnx.checker.check_model(made, full_check=True)
    biases = {node.output[0]: node.input[2:] for node in made.graph.node if node.op_type == "Conv"}
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    for name in ("a", "c"):
        assert len(biases[name]) == 1
        np.testing.assert_array_equal(values[biases[name][0]], found[name].bias)
    assert list(biases["y"]) == []


def test_what_the_model_computes_with_is_exactly_what_was_rounded(written, placed, table, pictures):
    """QuantizeLinear gives back the integers that were chosen."""
    spec = written()
    model = load(spec.path)
    placement = placed(model)
    found = correct(spec, placement.nodes, pictures, Treatment("percentile-90", ("rounding",)), None)

    made = insert(model, placement, table(dict.fromkeys(placement.observed, 4.0)), found)
    made.graph.output.append(onnx.ValueInfoProto(name="w1_quantized"))
    feed = np.zeros((1, 3, 16, 16), np.float32)
    (levels,) = open_session(made.SerializeToString(), optimised=False).run(["w1_quantized"], {"x": feed})

    np.testing.assert_array_equal(levels, found["a"].levels)
    assert np.abs(levels.astype(int)).max() == 127


def test_the_same_pictures_give_the_same_weights(written, placed, pictures):
    spec = written()
    nodes = placed(load(spec.path)).nodes

    first, second = (correct(spec, nodes, pictures, Treatment("max", BOTH), None) for _ in range(2))

    for name in nodes:
        np.testing.assert_array_equal(first[name].levels, second[name].levels)
        np.testing.assert_array_equal(first[name].bias, second[name].bias)


def test_what_does_not_fit_into_the_memory_takes_another_pass(written, placed, pictures, monkeypatch):
    spec = written()
    nodes = placed(load(spec.path)).nodes
    heard = Heard()
    monkeypatch.setattr(corrections, "MEMORY", 4 * 27**2)

    with progress.listening(heard):
        found = correct(spec, nodes, pictures, Treatment("max", ("rounding",)), None)

    assert heard.steps[0] == ("correct", 2 * PICTURES + 2)
    assert sum(count for _, count in heard.steps[1:]) == -(2 * PICTURES + 2)
    assert all(found[name].levels is not None for name in nodes)


def test_half_of_the_patches_lie_where_the_model_sees_something(written, placed, pictures):
    """What is read there decides: elsewhere the pictures are another world."""
    spec = written()
    nodes = placed(load(spec.path)).nodes
    wanted = Treatment("max", ("bias",))

    def corner(outputs):
        return [np.array([[0.0, 0.0, 4.0, 4.0]])] * len(outputs["y"])

    nowhere = correct(spec, nodes, pictures, wanted, lambda outputs: [np.empty((0, 4))] * len(outputs["y"]))
    seen = correct(spec, nodes, pictures, wanted, corner)
    blind = correct(spec, nodes, pictures, wanted, None)

    np.testing.assert_array_equal(nowhere["a"].bias, blind["a"].bias)
    assert (seen["a"].bias != blind["a"].bias).any()


def test_grouped_convolutions_and_products_are_only_clipped_and_counted(written, placed, pictures):
    body = """a = Conv(x, w1)  b = Conv<group = 8>(a, w2)  c = MatMul(b, w3)  y = Conv(c, w4)"""
    spec = written(body, w1=(8, 3, 1, 1), w2=(8, 1, 1, 1), w3=(16, 16), w4=SQUARE)
    heard = Heard()

    with progress.listening(heard):
        found = correct(spec, placed(load(spec.path)).nodes, pictures, Treatment("max", BOTH), None)

    assert heard.said == ["2 of 3 nodes are not corrected: they are no convolutions of pictures, or grouped ones"]
    assert found["a"].levels is not None
    for name in ("b", "c"):
        assert found[name].levels is None
        assert found[name].bias is None
        assert found[name].scales.shape == ((8,) if name == "b" else (16,))


def test_weights_that_others_read_are_rounded_to_the_nearest_and_biases_still_corrected(written, placed, pictures):
    spec = written("z = Conv(x, w0)  a = Conv(z, w)  b = Relu(a)  y = Conv(b, w)", w0=(8, 3, 1, 1), w=SQUARE)
    heard = Heard()

    with progress.listening(heard):
        found = correct(spec, placed(load(spec.path)).nodes, pictures, Treatment("max", BOTH), None)

    assert heard.said == ["1 of 2 nodes are rounded to the nearest: others read the same weights"]
    assert found["z"].levels is not None
    assert found["a"].levels is None
    assert found["a"].bias is not None


def test_too_wide_ones_are_rounded_to_the_nearest(written, placed, pictures, monkeypatch):
    monkeypatch.setattr(corrections, "WIDEST", 27)
    spec = written()
    heard = Heard()

    with progress.listening(heard):
        found = correct(spec, placed(load(spec.path)).nodes, pictures, Treatment("max", ("rounding",)), None)

    assert heard.said == ["1 of 2 nodes are rounded to the nearest: they read more than 27 numbers at a place"]
    assert found["a"].levels is not None
    assert found["c"].levels is None


def test_inputs_that_are_always_zero_leave_the_nearest(written, placed, pictures):
    dark = {"w0": np.zeros((8, 3, 1, 1), np.float32)}
    spec = written(
        "z = Conv(x, w0)  b = Relu(z)  a = Conv(b, w1)  y = Conv(a, w2)", constants=dark, w1=SQUARE, w2=SQUARE
    )

    found = correct(spec, placed(load(spec.path)).nodes, pictures, Treatment("max", BOTH), None)

    assert found["a"].levels is None
    assert not found["a"].bias.any()


def test_scales_are_those_of_the_method_whatever_is_corrected(written, placed, pictures):
    spec = written()
    nodes = placed(load(spec.path)).nodes

    for method in ("max", "mse", "percentile-90"):
        plain = clipped(spec, nodes, method)
        found = correct(spec, nodes, pictures, Treatment(method, BOTH), None)
        for name in nodes:
            np.testing.assert_array_equal(found[name].scales, plain[name].scales)
    own = {tensor.name: numpy_helper.to_array(tensor) for tensor in load(spec.path).graph.initializer}["w1"]
    np.testing.assert_array_equal(clipped(spec, nodes, "max")["a"].scales, weight_scales(own, 0))


def test_weights_behind_a_cast_are_corrected_too(written, placed, table, pictures):
    half = np.random.default_rng(0).normal(0, 1, (8, 3, 1, 1)).astype(np.float16)
    body = "w1 = Cast<to = 1>(w16)  a = Conv(x, w1)  y = Conv(a, w2)"
    spec = written(body, constants={"w16": half}, w2=SQUARE)
    model = load(spec.path)
    placement = placed(model)

    found = correct(spec, placement.nodes, pictures, Treatment("max", BOTH), None)
    made = insert(model, placement, table(dict.fromkeys(placement.observed, 4.0)), found)

    onnx.checker.check_model(made, full_check=True)
    assert "Cast" not in {node.op_type for node in made.graph.node}
    assert found["a"].levels.shape == half.shape


@pytest.mark.parametrize(
    ("clip", "corrections", "told"),
    [
        ("max", ("none",), ()),
        ("max", (), ()),
        ("mse", ("none",), ("weights by mse",)),
        ("max", ("bias", "rounding"), ("rounding corrected", "bias corrected")),
        ("entropy", ("bias",), ("weights by entropy", "bias corrected")),
    ],
)
def test_a_treatment_tells_what_is_not_usual(clip, corrections, told):
    assert Treatment(clip, corrections).told == told
    assert Treatment(clip, corrections).needs_pictures is ("bias" in corrections)


def test_an_unknown_correction_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="no correction 'biass'") as error:
        Treatment("max", ("biass",)).check()

    assert error.value.fix == "use rounding, bias or none"


def test_every_picture_of_a_fixed_batch_is_read(fragment, tmp_path):
    """Pictures of one colour each: the patches of all of them are known."""
    path = tmp_path / "batch.onnx"
    body = "a = Conv(x, w1)  b = Relu(a)  y = Conv(b, w2)"
    onnx.save(fragment(body, x=(2, 3, 16, 16), w1=(8, 3, 1, 1), w2=SQUARE), path)
    values = np.random.default_rng(0).random((4, 3, 1, 1), np.float32)
    np.save(tmp_path / "plain.npy", np.broadcast_to(values, (4, 3, 16, 16)))
    chosen = choose(tmp_path / "plain.npy", Preprocessing((16, 16)), count=4, batch=2)
    spec = read_spec(path)
    window = window_of(imported(load(path)).nodes[0])

    found = measure(spec, {window: True}, chosen, None)[window]

    np.testing.assert_allclose(found.mean, values.mean(axis=0).ravel(), rtol=1e-4)
    patches = values.reshape(4, 3)
    np.testing.assert_allclose(found.gram / found.count, patches.T @ patches / 4, rtol=1e-4)
    assert found.count == PATCHES
