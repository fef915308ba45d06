"""Fusing DFL computes the boxes by one convolution, a factor and an offset, whatever an exporter wrote; FP32 rounds."""

import re
from collections import Counter

import numpy as np
import onnx
import pytest

from polyyolo.models.checkpoint import convert
from polyyolo.models.heads import recognise
from polyyolo.models.spec import load, read_spec
from polyyolo.models.trail import trail_to
from polyyolo.passes import cut_decode, fuse_dfl, shape, simplify
from polyyolo.passes.apply import Step, apply
from polyyolo.pipeline import engine
from polyyolo.quantization.graph import imported
from polyyolo.quantization.half import to_half
from polyyolo.quantization.lint.run import lint
from polyyolo.quantization.placement import DECODE, HEAD, FloatBudget, place
from polyyolo.quantization.topology import behind_head, head_convs, is_decode
from polyyolo.records import Request

SIZES = {8: 8, 16: 4, 32: 2}
BINS = 8
FUSED = ["Reshape", "Softmax", "Reshape", "MatMul", "Mul", "Add"]

BY_CONV = """
    apart = Reshape(box_logits, to_bins)
    moved = Transpose<perm = [0, 2, 1, 3]>(apart)
    chances = Softmax<axis = 1>(moved)
    sums = Conv<kernel_shape = [1, 1]>(chances, bins_conv)
    distances = Reshape(sums, to_sides)
"""
BY_MATMUL = """
    apart = Reshape(box_logits, to_bins)
    moved = Transpose<perm = [0, 1, 3, 2]>(apart)
    chances = Softmax<axis = 3>(moved)
    sums = MatMul(chances, bins_column)
    distances = Reshape(sums, to_sides)
"""
TURNED_BACK = """
    apart = Reshape(box_logits, to_bins)
    moved = Transpose<perm = [0, 3, 1, 2]>(apart)
    chances = Softmax<axis = -1>(moved)
    turned_back = Transpose<perm = [0, 3, 2, 1]>(chances)
    sums = Conv(turned_back, bins_conv, no_bias)
    distances = Reshape(sums, to_sides)
"""
BY_SUM = """
    apart = Reshape(box_logits, to_bins)
    chances = Softmax<axis = 2>(apart)
    weighted = Mul(bins_column, chances)
    distances = ReduceSum<keepdims = 0>(weighted, axis2)
"""
CENTRES = """
    before, after = Split<axis = 1>(distances, halves)
    low = Sub(centres, before)
    high = Add(centres, after)
    both = Add(low, high)
    middle = Div(both, two)
    extent = Sub(high, low)
    cells = Concat<axis = 1>(middle, extent)
    boxes = Mul(cells, strides)
"""
CORNERS = """
    before = Slice(distances, from0, from2, axis1)
    after = Slice(distances, from2, from4, axis1)
    back = Neg(before)
    low = Add(back, centres)
    high = Add(after, centres)
    corners = Concat<axis = 1>(low, high)
    cells = Identity(corners)
    boxes = Mul(strides, cells)
"""
PIXELS_FIRST = """
    scaled = Mul(distances, strides)
    before, after = Split<axis = 1>(scaled, halves)
    low = Sub(pixels, before)
    high = Add(pixels, after)
    both = Add(low, high)
    middle = Mul(both, half)
    extent = Sub(high, low)
    boxes = Concat<axis = 1>(middle, extent)
"""


def constants_of(first):
    """What the decodes read; ``first`` is how a Reshape writes the batch."""
    y, x, stride = np.array(
        [(y, x, s) for s, side in SIZES.items() for y in range(side) for x in range(side)], np.float32
    ).T
    centres = np.stack([x, y])[None] + np.float32(0.5)
    bins = np.arange(BINS, dtype=np.float32)
    return {
        "to_bins": np.array([first, 4, BINS, 84]),
        "to_sides": np.array([first, 4, 84]),
        "box_rows": np.array([first, 4 * BINS, -1]),
        "score_rows": np.array([first, 2, -1]),
        "bins_conv": bins.reshape(1, BINS, 1, 1),
        "bins_column": bins.reshape(BINS, 1),
        "no_bias": np.zeros(1, np.float32),
        "halves": np.array([2, 2]),
        "centres": centres,
        "pixels": centres * stride,
        "strides": stride.reshape(1, 1, -1),
        "two": np.float32(2),
        "half": np.float32(0.5),
        **{f"axis{number}": np.array([number]) for number in (1, 2)},
        **{f"from{number}": np.array([number]) for number in (0, 2, 4)},
    }


def yolov8(expected=BY_CONV, boxes=CENTRES, batch="1", *, outputs="", before="", opset=17, kind="float", **more):
    """A YOLOv8 of 8 bins and two classes for 64x64; ``outputs`` and constants can be added."""
    generator = np.random.default_rng(0)
    constants = constants_of(int(batch) if batch.isdecimal() else 0) | more
    body = before or "picture = Identity(images)\n"
    for s in SIZES:
        for branch, channels, spread in (("box", 4 * BINS, 4), ("score", 2, 1)):
            constants[f"{branch}_w{s}"] = generator.normal(0, spread / s, (channels, 3, s, s)).astype(np.float32)
            body += f"{branch}{s} = Conv<kernel_shape = [{s}, {s}], strides = [{s}, {s}]>(picture, {branch}_w{s})\n"
            body += f"{branch}_flat{s} = Reshape({branch}{s}, {branch}_rows)\n"
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]>
    small ({kind}[{batch},3,64,64] images) => ({kind}[{batch},6,84] output0 {outputs}) {{
        {body}
        box_logits = Concat<axis = 2>(box_flat8, box_flat16, box_flat32)
        score_logits = Concat<axis = 2>(score_flat8, score_flat16, score_flat32)
        scores = Sigmoid(score_logits)
        {expected}
        {boxes}
        output0 = Concat<axis = 1>(boxes, scores)
    }}"""
    model = onnx.parser.parse_model(text)
    wide = {"float": np.float32, "float16": np.float16}[kind]
    arrays = {name: np.asarray(value) for name, value in constants.items() if name in text}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array.astype(wide) if array.dtype == np.float32 else array, name)
        for name, array in arrays.items()
    )
    onnx.helper.set_model_props(model, {"names": "{0: 'dark', 1: 'bright'}"})
    onnx.checker.check_model(model, full_check=True)
    return model


def decode_of(model):
    """The operators that the boxes come from, behind the last convolutions' maps, in the order of the graph."""
    between = {node.output[0] for node in trail_to("boxes", model.graph.node).between}
    found = [node for node in model.graph.node if node.output[0] in between]
    joined = next(index for index, node in enumerate(found) if node.output[0] == "box_logits")
    return [node.op_type for node in found[joined + 1 :]]


def assert_rounded_alike(infer, before, after, batch):
    """FP32 has 24 bits: a millionth is 16 of its steps."""
    for (name, expected), (other, got) in zip(infer(before, batch).items(), infer(after, batch).items(), strict=True):
        assert (name, expected.dtype, expected.shape) == (other, got.dtype, got.shape)
        assert np.abs(expected - got).max() <= 1e-6 * np.abs(expected).max()
        assert expected.std() > 1


def assert_left_alone(model, *notes):
    result = fuse_dfl.run(model)
    assert (result.changed, result.model is model) == (False, True)
    assert result.notes == notes


def left(name, why):
    return f"the DFL at {name} is left as it is: {why}"


def outputs_of(model):
    return [value.SerializeToString() for value in model.graph.output]


@pytest.mark.parametrize(
    ("expected", "boxes", "before"),
    [
        (BY_CONV, CENTRES, 13),
        (BY_CONV, CORNERS, 13),
        (BY_CONV, PIXELS_FIRST, 13),
        (BY_MATMUL, CENTRES, 13),
        (TURNED_BACK, CORNERS, 14),
        (BY_SUM, PIXELS_FIRST, 12),
    ],
)
def test_however_the_decode_is_written_six_operators_do_its_work(infer, noise, expected, boxes, before):
    model = yolov8(expected, boxes)

    result = fuse_dfl.run(model)

    assert (len(decode_of(model)), decode_of(result.model)) == (before, FUSED)
    assert result.notes == (f"{len(model.graph.node)} nodes became {len(model.graph.node) - before + 6}",)
    assert (outputs_of(result.model), result.model.opset_import) == (outputs_of(model), model.opset_import)
    onnx.checker.check_model(result.model, full_check=True)
    assert_rounded_alike(infer, model, result.model, noise(model, 1, (64, 64)))


@pytest.mark.parametrize("batch", ["3", "batch"])
@pytest.mark.parametrize("expected", [BY_CONV, BY_MATMUL])
def test_a_batch_is_kept_fixed_or_open(infer, noise, expected, batch):
    model = yolov8(expected, batch=batch)

    fused = fuse_dfl.run(model).model

    assert decode_of(fused) == FUSED
    assert outputs_of(fused) == outputs_of(model)
    assert_rounded_alike(infer, model, fused, noise(model, 3, (64, 64)))


def test_what_is_learned_is_half_and_whole_bins_times_the_stride_around_the_centres():
    fused = fuse_dfl.run(yolov8()).model

    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in fused.graph.initializer}
    product, mul, add = (
        values[name]
        for node in fused.graph.node
        if node.op_type in ("MatMul", "Mul", "Add") and node.name.startswith("boxes")
        for name in node.input
        if name in values
    )
    known = constants_of(1)
    bins, none = np.arange(BINS), np.zeros(BINS)
    sides = [(-bins / 2, none, bins / 2, none), (none, -bins / 2, none, bins / 2)]
    sides += [(bins, none, bins, none), (none, bins, none, bins)]
    np.testing.assert_array_equal(product, 32 * np.array(sides).reshape(4, -1))
    np.testing.assert_array_equal(mul, known["strides"] / 32)
    np.testing.assert_array_equal(add[:, :2], known["pixels"])
    assert (add[:, 2:].max(), add.dtype, product.dtype) == (0, np.float32, np.float32)


def test_anchors_that_an_export_computes_are_folded_first(infer, noise):
    halves = CENTRES.replace("Sub(centres", "Sub(folded").replace("Add(centres", "Add(folded")
    model = yolov8(boxes="folded = Mul(doubled, half)\n" + halves, doubled=2 * constants_of(1)["centres"])

    fused = fuse_dfl.run(model).model

    assert decode_of(fused) == FUSED
    assert_rounded_alike(infer, model, fused, noise(model, 1, (64, 64)))


def test_a_second_run_changes_nothing():
    assert_left_alone(fuse_dfl.run(yolov8()).model, left("boxes_Softmax", "boxes takes 6 operators, and would take 6"))


def test_a_model_without_a_decode_or_without_a_softmax_is_left_as_it_is(models):
    assert_left_alone(cut_decode.run(yolov8()).model, "no DFL to fuse")
    assert_left_alone(load(models / "yolov5s-640.onnx"), "no DFL to fuse")


def test_attention_is_no_dfl_and_is_not_told_of(infer, noise):
    attention = """
        flat = Reshape(images, rows)
        turned = Transpose<perm = [0, 2, 1]>(flat)
        alike = MatMul(flat, turned)
        eased = Mul(alike, half)
        attended = Softmax<axis = -1>(eased)
        seen = MatMul(attended, flat)
        picture = Reshape(seen, square)
    """
    model = yolov8(before=attention, rows=np.array([1, 3, 4096]), square=np.array([1, 3, 64, 64]))

    result = fuse_dfl.run(model)

    assert result.notes == ("36 nodes became 29",)
    assert [node.op_type for node in result.model.graph.node[:7]] == [node.op_type for node in model.graph.node[:7]]
    assert decode_of(result.model) == FUSED
    assert_rounded_alike(infer, model, result.model, noise(model, 1, (64, 64)))
    assert_left_alone(cut_decode.run(model).model, "no DFL to fuse")


SHARED = "something else reads its distances too, or its logits are not (B, 4 * bins, N)"
COMPUTED = "no boxes (B, 4, N) of fixed size are computed of it with constants"


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("float[1,8,4,84] chances", SHARED),
        ("float[1,4,8,84] apart", SHARED),
        ("float[1,1,4,84] sums", SHARED),
        ("float[1,4,84] distances", "distances takes 5 operators, and would take 6"),
        ("float[1,2,84] low", "distances takes 5 operators, and would take 6"),
    ],
)
def test_what_something_else_reads_stays(output, why):
    assert_left_alone(yolov8(outputs=f", {output}"), left("chances", why))


def test_boxes_that_are_an_output_as_well_stay_so(infer, noise):
    model = yolov8(outputs=", float[1,4,84] boxes")

    fused = fuse_dfl.run(model).model

    assert decode_of(fused) == FUSED
    assert_rounded_alike(infer, model, fused, noise(model, 1, (64, 64)))


@pytest.mark.parametrize("last", ["Mul(cells, cells)", "Mul(cells, surest)", "Relu(cells)"])
def test_what_is_not_affine_or_meets_other_values_follows_as_it_was(infer, noise, last):
    surest = "first, second = Split<axis = 1>(scores, one_each)\nsurest = Max(first, second)\n"
    boxes = surest + CENTRES.replace("Mul(cells, strides)", last)
    model = yolov8(boxes=boxes, one_each=np.array([1, 1]))

    fused = fuse_dfl.run(model).model

    assert [op for op in decode_of(fused) if op in FUSED or op == "Relu"] == [*FUSED, last.partition("(")[0]]
    assert_rounded_alike(infer, model, fused, noise(model, 1, (64, 64)))


SCALED_APART = np.concatenate([constants_of(1)["strides"], 40 - constants_of(1)["strides"]] * 2, axis=1)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expected": BY_CONV.replace("Transpose<perm = [0, 2, 1, 3]>", "Identity"), "to_bins": [1, BINS, 4, 84]}, 273),
        ({"expected": BY_CONV.replace("Softmax<axis = 1>", "Softmax<axis = 2>")}, 686),
        ({"strides": SCALED_APART}, 386),
        ({"strides": np.full((1, 1, 84), np.nan, np.float32)}, np.nan),
    ],
    ids=["bins before sides", "chances of sides", "width and height scaled apart", "not a number"],
)
def test_a_decode_that_would_give_other_boxes_is_left_as_it_is(changes, why):
    changes = {key: np.array(value) if isinstance(value, list) else value for key, value in changes.items()}

    (told,) = fuse_dfl.run(yolov8(**changes)).notes

    assert told.startswith(left("chances", f"its boxes of random logits would change by {why} of "))


def test_boxes_that_do_not_depend_on_the_picture_are_left_as_they_are():
    still = yolov8(bins_conv=np.zeros((1, BINS, 1, 1), np.float32))

    assert_left_alone(still, left("chances", "its boxes do not depend on it"))


def test_an_open_batch_that_only_one_picture_fits_is_left_as_it_is():
    model = yolov8(BY_CONV.replace("to_sides", "one_picture"), batch="batch", one_picture=np.array([1, 4, 84]))

    assert_left_alone(model, left("chances", "ONNX Runtime cannot run it with 2x32x84"))


def test_before_operator_set_13_a_softmax_takes_all_axes_behind_its_own():
    older = yolov8(BY_MATMUL, CORNERS, opset=12)

    assert_left_alone(older, left("chances", "operator set 12 has no Softmax along one axis of several; 13 has"))


def test_fp16_is_left_as_it_is_since_its_rounding_shows():
    """Near 640 it counts in halves of a pixel, and the fused decode rounds in other places."""
    why = "it computes in float16, and only float32 is sure to keep its numbers"

    assert_left_alone(yolov8(kind="float16"), left("chances", why))


def test_an_fp32_decode_behind_fp16_layers_is_fused(infer, noise):
    model = to_half(yolov8(), "images")

    fused = fuse_dfl.run(model).model

    assert (decode_of(model)[0], decode_of(fused)) == ("Reshape", FUSED)
    assert_rounded_alike(infer, model, fused, noise(model, 1, (64, 64)))


@pytest.mark.parametrize(
    ("line", "fuses"),
    [
        ("Reshape(box_logits,", True),
        ("Softmax<axis = 1>(moved)", False),
        ("Conv<kernel_shape = [1, 1]>(chances,", False),
        ("bins_conv)", False),
        ("Reshape(sums,", False),
    ],
)
def test_q_dq_nodes_stay_where_they_are(infer, noise, line, fuses):
    name = line.rstrip(",)").rpartition("(")[2]
    pair = f"{name}_q = QuantizeLinear({name}, step)\n{name}_dq = DequantizeLinear({name}_q, step)\n"
    (written,) = (each for each in BY_CONV.splitlines() if line in each)
    expected = BY_CONV.replace(written, pair + written.replace(line, line.replace(name, f"{name}_dq")))
    model = yolov8(expected, step=np.float32(0.05))

    result = fuse_dfl.run(model)

    kinds = [Counter(node.op_type for node in each.graph.node) for each in (model, result.model)]
    assert [kind["QuantizeLinear"] + kind["DequantizeLinear"] for kind in kinds] == [2, 2]
    assert (result.changed, result.model is model) == (fuses, not fuses)
    assert_rounded_alike(infer, model, result.model, noise(model, 1, (64, 64)))


def test_two_heads_are_both_fused(infer, noise):
    """As models have that were trained with an auxiliary head; one Softmax leads nowhere."""
    made = {line.split("=")[0].strip() for line in (BY_CONV + CENTRES).splitlines() if "=" in line}
    names = "|".join(name for each in made for name in each.split(", "))
    other = re.sub(rf"\b({names})\b", r"other_\1", BY_CONV + CENTRES) + "unread = Softmax(score_logits)\n"
    model = yolov8(BY_CONV + other, outputs=", float[1,4,84] other_boxes")

    result = fuse_dfl.run(model)

    ops = Counter(node.op_type for node in result.model.graph.node)
    assert (ops["Softmax"], ops["Conv"], ops["Transpose"], ops["Split"]) == (2, 6, 0, 0)
    assert len(result.notes) == 1
    assert_rounded_alike(infer, model, result.model, noise(model, 1, (64, 64)))


def test_head_cut_placement_and_types_are_those_of_the_model_before():
    model = yolov8()
    fused = fuse_dfl.run(model).model

    assert recognise(fused) == recognise(model)
    cut, cut_before = cut_decode.run(fused), cut_decode.run(model)
    assert (cut.notes, outputs_of(cut.model)) == (cut_before.notes, outputs_of(cut_before.model))
    graph = imported(fused)
    heads = {f"{kind}{stride}" for kind in ("box", "score") for stride in SIZES}
    assert head_convs(graph) == heads
    (weighted,) = (node for node in graph.nodes if is_decode(node))
    assert (weighted.op, behind_head(graph, head_convs(graph)) >= {weighted.outputs[0].name}) == ("MatMul", True)
    assert place(graph, {}, FloatBudget(0.10)).in_float == dict.fromkeys(heads, HEAD) | {"boxes_MatMul": DECODE}
    lowered = onnx.shape_inference.infer_shapes(to_half(fused, "images"))
    types = {value.name: value.type.tensor_type.elem_type for value in lowered.graph.value_info}
    assert {types[name] for name in heads} == {onnx.TensorProto.FLOAT16}
    assert types["boxes_MatMul"] == types["boxes"] == onnx.TensorProto.FLOAT


def test_a_run_prepares_quantizes_and_verifies_the_fused_model(little_pictures, tmp_path):
    layers, source = "", "images"
    for number, target in enumerate(("first", "second", "third", "picture")):
        layers += f"conv{number} = Conv<pads = [1, 1, 1, 1]>({source}, wide{number})\n{target} = Relu(conv{number})\n"
        source = target
    generator = np.random.default_rng(1)
    shapes = {"wide0": (8, 3, 3, 3), "wide1": (8, 8, 3, 3), "wide2": (8, 8, 3, 3), "wide3": (3, 8, 3, 3)}
    weights = {name: generator.normal(0.1, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    onnx.save(yolov8(before=layers, **weights), tmp_path / "model.onnx")
    request = Request(str(tmp_path / "model.onnx"), images=little_pictures, toolchain="none", output=tmp_path / "run")

    run = engine(request)

    prepared, quantized, lowered = (load(run.folder / f"{name}.onnx") for name in ("model", "model.int8", "model.fp16"))
    assert run.built.history == ("fuse-dfl", "quantize (mse-seen, 4 of 11 nodes)", "cast to FP16")
    assert [decode_of(model) for model in (prepared, quantized, lowered)] == [FUSED] * 3
    assert min(run.fidelity.signal_to_noise_db.values()) > 30
    spec = read_spec(run.folder / "model.int8.onnx")
    assert spec.head == read_spec(tmp_path / "model.onnx").head
    assert {finding.rule.name for finding in lint(quantized, spec, (64, 64))} == {"int8-share"}


def assert_fused_alike(infer, noise, model, fused):
    """Within 1e-6 of the largest box, with the same head."""
    assert recognise(fused) == recognise(model)
    assert_rounded_alike(infer, model, fused, noise(model, 1, (640, 640)))


def test_yolov8n_loses_8_operators_of_14(models, tmp_path, infer, noise):
    spec = read_spec(models / "yolov8n-640.onnx")

    made = apply(spec, [Step("simplify"), Step("fuse-dfl")], tmp_path / "fused.onnx")

    before, after = load(models / "yolov8n-640.onnx"), load(made.path)
    assert made.history == ("fuse-dfl",)
    assert (made.head, made.inputs, made.outputs) == (spec.head, spec.inputs, spec.outputs)
    assert len(after.graph.node) == 233 - 8
    assert_fused_alike(infer, noise, before, after)


def test_a_converted_checkpoint_is_fused_too(models, tmp_path, infer, noise):
    """Its expectation is a MatMul."""
    model = load(convert(models / "yolov8n.pt", tmp_path / "yolov8n.onnx"))

    fused = fuse_dfl.run(model).model

    assert len(model.graph.node) - len(fused.graph.node) == 7
    assert_fused_alike(infer, noise, model, fused)


def test_open_axes_stay_open_and_fixed_ones_are_fused(models, infer, noise):
    model = load(models / "yolov8n-dyn.onnx")
    assert_left_alone(model, left("/model.22/dfl/Softmax_output_0", COMPUTED))

    fixed = simplify.run(shape.run(model, batch="dynamic", size=(320, 448)).model).model
    fused = fuse_dfl.run(fixed).model

    assert len(fixed.graph.node) - len(fused.graph.node) == 8
    assert outputs_of(fused) == outputs_of(fixed)
    assert_rounded_alike(infer, fixed, fused, noise(fixed, 2, (320, 448)))
