"""What a model file is, read from the real ones; and every file that is none."""

import hashlib
import random
from pathlib import Path

import numpy as np
import onnx
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.spec import load, read_spec
from polyyolo.records import HeadKind

NINE = (((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119)), ((116, 90), (156, 198), (373, 326)))


def tiny(
    inputs=(("images", onnx.TensorProto.FLOAT, [1, 3, 64, 64]),), opset=17, nodes=None, initializer=(), ir=8
) -> onnx.ModelProto:
    """A small network that is no YOLO: one output, its first input as it came."""
    nodes = nodes or [onnx.helper.make_node("Identity", [inputs[0][0] if inputs else "w"], ["out"])]
    values = [onnx.helper.make_tensor_value_info(*each) for each in inputs]
    kind, dims = inputs[0][1:] if inputs else (onnx.TensorProto.FLOAT, [3])
    output = onnx.helper.make_tensor_value_info("out", kind, [None] * len(dims))
    graph = onnx.helper.make_graph(nodes, "tiny", values, [output], initializer=initializer)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=ir)


def saved(model: onnx.ModelProto, folder: Path, name: str = "m.onnx") -> Path:
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def test_nodes_that_stand_in_no_order_are_put_into_one(tmp_path):
    """As ONNX Runtime's converter to FP16 leaves Casts: it loads them itself."""
    chain = [
        onnx.helper.make_node("Relu", [start], [end]) for start, end in (("images", "a"), ("a", "b"), ("b", "out"))
    ]
    path = saved(tiny(nodes=chain[::-1]), tmp_path)

    assert [node.output[0] for node in load(path).graph.node] == ["a", "b", "out"]


def test_a_graph_that_reads_in_a_circle_is_no_valid_onnx(tmp_path):
    circle = [onnx.helper.make_node("Add", [start, "images"], [end]) for start, end in (("a", "out"), ("out", "a"))]

    with pytest.raises(ModelError, match="is no valid ONNX"):
        load(saved(tiny(nodes=circle), tmp_path))


def test_open_pictures_with_channels_last_are_refused(tmp_path):
    turned = [onnx.helper.make_node("Transpose", ["images"], ["out"], perm=[0, 3, 1, 2])]
    inputs = [("images", onnx.TensorProto.FLOAT, ["n", "h", "w", "c"])]

    with pytest.raises(ModelError, match=r"takes pictures as \(N, H, W, C\)"):
        read_spec(saved(tiny(inputs, nodes=turned), tmp_path))


@pytest.mark.parametrize(
    ("name", "kind", "outputs", "strides"),
    [
        ("yolov5s-640.onnx", HeadKind.V5, ("output0",), (8, 16, 32)),
        ("yolov5s-dyn.onnx", HeadKind.V5, ("output0",), (8, 16, 32)),
        ("yolov5s-640-3head.onnx", HeadKind.V5_RAW, ("p3", "p4", "p5"), (8, 16, 32)),
        ("yolov8n-640.onnx", HeadKind.V8, ("output0",), (8, 16, 32)),
        ("yolov8n-dyn.onnx", HeadKind.V8, ("output0",), (8, 16, 32)),
        ("yolov4-tiny-416.onnx", HeadKind.DARKNET_RAW, ("head32", "head16"), (32, 16)),
    ],
)
def test_every_real_model_is_recognised_with_its_80_classes(models, name, kind, outputs, strides):
    head = read_spec(models / name).head

    assert (head.kind, head.classes, head.outputs, head.strides) == (kind, 80, outputs, strides)


def test_raw_yolov5_heads_get_the_published_anchors_and_say_that_they_are_assumed(models):
    head = read_spec(models / "yolov5s-640-3head.onnx").head

    assert head.anchors == NINE
    assert head.scale_xy == ()
    assert "YOLOv5's published ones are assumed" in head.why


def test_yolov4_tinys_stride_16_map_uses_anchors_1_to_3_as_its_cfg_masks_them(models):
    head = read_spec(models / "yolov4-tiny-416.onnx").head

    assert head.anchors == (((81, 82), (135, 169), (344, 319)), ((23, 27), (37, 58), (81, 82)))
    assert head.scale_xy == (1.05, 1.05)


def test_what_the_exporter_left_is_read_and_open_axes_keep_their_names(models):
    spec = read_spec(models / "yolov8n-dyn.onnx", history=("simplify",))

    assert (spec.names[0], spec.names[79], len(spec.names)) == ("person", "toothbrush", 80)
    assert spec.image_input.dims == ("batch", 3, "height", "width")
    assert spec.outputs[0].dims == ("batch", 84, "anchors")
    assert (spec.opset, spec.stride, spec.quantized, spec.history) == (17, 32, False, ("simplify",))
    assert spec.metadata["task"] == "detect"


def test_a_spec_holds_the_hash_that_sha256sum_prints(models):
    path = models / "yolov8n-640.onnx"

    assert read_spec(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_head_can_be_forced_where_the_structure_allows_it(models):
    head = read_spec(models / "yolov5s-640-3head.onnx", head=HeadKind.DARKNET_RAW).head

    assert (head.kind, head.scale_xy) == (HeadKind.DARKNET_RAW, (1.0, 1.0, 1.0))


def test_a_forced_head_that_does_not_fit_is_refused_with_the_shapes(models):
    with pytest.raises(ModelError, match="output0 1x84x8400 do not fit the head v5-raw") as error:
        read_spec(models / "yolov8n-640.onnx", head=HeadKind.V5_RAW)

    assert "--head" in error.value.fix


def test_any_model_can_be_taken_for_no_yolo(models):
    head = read_spec(models / "yolov8n-640.onnx", head=HeadKind.NONE).head

    assert (head.kind, head.classes, head.outputs) == (HeadKind.NONE, 0, ())


def test_a_model_that_is_no_yolo_says_so_and_works(tmp_path):
    spec = read_spec(saved(tiny(), tmp_path))

    assert spec.head.kind is HeadKind.NONE
    assert spec.head.why == "no YOLO head: the outputs are out 1x3x64x64"
    assert spec.stride == 32


@pytest.mark.parametrize(
    ("kind", "dims", "dtype"),
    [
        (onnx.TensorProto.UINT8, [1, 3, 64, 64], "uint8"),
        (onnx.TensorProto.FLOAT16, ["n", 1, "h", "w"], "float16"),
        (onnx.TensorProto.FLOAT, [None, 3, None, None], "float32"),
    ],
)
def test_pictures_go_in_as_bytes_halves_or_floats_with_one_or_three_channels(tmp_path, kind, dims, dtype):
    image = read_spec(saved(tiny([("images", kind, dims)]), tmp_path)).image_input

    assert image.dtype == dtype
    assert len(image.dims) == 4


def test_axes_without_name_or_number_get_names_of_their_own(tmp_path):
    image = read_spec(saved(tiny([("images", onnx.TensorProto.FLOAT, [None, 3, None, None])]), tmp_path)).image_input

    assert image.dims == ("images_0", 3, "images_2", "images_3")


def test_initializers_that_old_exporters_list_as_inputs_are_no_inputs(tmp_path):
    weight = onnx.numpy_helper.from_array(np.zeros((1, 3, 64, 64), np.float32), "w")
    inputs = [("images", onnx.TensorProto.FLOAT, [1, 3, 64, 64]), ("w", onnx.TensorProto.FLOAT, [1, 3, 64, 64])]
    add = onnx.helper.make_node("Add", ["images", "w"], ["out"])
    model = tiny(inputs, nodes=[add], initializer=[weight], ir=3)

    assert [tensor.name for tensor in read_spec(saved(model, tmp_path)).inputs] == ["images"]


def test_functions_of_the_models_own_are_written_out_where_they_are_called(tmp_path):
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 17, "own" : 1]> gates (float[1,3,8,8] images) => (float[1,3,8,8] out)
        { out = own.silu(images) }
        <opset_import: ["" : 17], domain: "own"> silu (x) => (y) { gate = Sigmoid(x)  y = Mul(x, gate) }"""
    )

    written = load(saved(model, tmp_path))

    assert not written.functions
    assert [node.op_type for node in written.graph.node] == ["Sigmoid", "Mul"]


def test_two_picture_inputs_are_refused_by_name(tmp_path):
    inputs = [(name, onnx.TensorProto.FLOAT, [1, 3, 64, 64]) for name in ("left", "right")]
    add = onnx.helper.make_node("Add", ["left", "right"], ["out"])

    with pytest.raises(ModelError, match=r"2 inputs that take pictures: left float32 \(1, 3, 64, 64\), right"):
        read_spec(saved(tiny(inputs, nodes=[add]), tmp_path))


@pytest.mark.parametrize("dims", [[1, 64, 64, 3], [1, 10], [1, 6, 64, 64]])
def test_a_model_without_picture_input_is_refused_with_the_inputs_that_it_has(tmp_path, dims):
    with pytest.raises(ModelError, match=r"no picture input .* its inputs are: images float32"):
        read_spec(saved(tiny([("images", onnx.TensorProto.FLOAT, dims)]), tmp_path))


def test_a_model_without_any_input_is_refused(tmp_path):
    weight = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "w")

    with pytest.raises(ModelError, match="its inputs are: none at all"):
        read_spec(saved(tiny([], initializer=[weight]), tmp_path))


def test_an_old_opset_is_refused_with_the_one_to_export_with(tmp_path):
    with pytest.raises(ModelError, match="opset 10, and polyyolo needs 11") as error:
        read_spec(saved(tiny(opset=10), tmp_path))

    assert "opset=17" in error.value.fix


def test_quantize_nodes_anywhere_make_a_model_quantized(tmp_path):
    scale = onnx.numpy_helper.from_array(np.array(0.1, np.float32), "s")
    zero = onnx.numpy_helper.from_array(np.array(0, np.int8), "z")
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["images", "s", "z"], ["q"]),
        onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], ["out"]),
    ]

    assert read_spec(saved(tiny(nodes=nodes, initializer=[scale, zero]), tmp_path)).quantized


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("float", "value_float = 0.1", np.float32(0.1)),
        ("float[2]", "value_floats = [0.1, 2.0]", np.array([0.1, 2], np.float32)),
        ("int64", "value_int = 3", np.int64(3)),
        ("int64[2]", "value_ints = [1, 3]", np.array([1, 3])),
    ],
)
def test_plain_numbers_of_constants_are_read_as_tensors_of_their_type_in_branches_too(tmp_path, kind, written, value):
    branch = f"() => ({kind} z) {{ z = Constant<{written}>() }}"
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,8,8] images, bool c) => ({kind} y, {kind} k) {{
        k = Constant<{written}>()
        y = If (c) <then_branch = one {branch}, else_branch = two {branch}>
        }}"""
    )

    *_, choice = nodes = load(saved(model, tmp_path)).graph.node
    constants = [nodes[0], *(attribute.g.node[0] for attribute in choice.attribute)]

    for constant in constants:
        found = onnx.numpy_helper.to_array(onnx.helper.get_node_attr_value(constant, "value"))
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
        assert (found == value).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no graph in it"),
        (b"hello\nworld\n" * 50, "is a text file, not an ONNX"),
        (b"\x00" * 4096, "not an ONNX"),
        (b"ftrt" + bytes(60), "is a TensorRT engine, not a model"),
        (b"vtrt" + bytes(60), "is a TensorRT engine, not a model"),
        (b"\x02\x00\x00\x00{}ftrt" + bytes(60), "is a TensorRT engine, not a model"),
    ],
)
def test_a_file_that_is_no_onnx_is_refused(tmp_path, content, message):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=message):
        read_spec(path)


def test_no_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        read_spec(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="is a folder"):
        read_spec(tmp_path)


def test_a_model_cut_off_anywhere_is_refused(models, tmp_path):
    whole = (models / "yolov8n-640.onnx").read_bytes()
    path = tmp_path / "m.onnx"
    for share in (0.0001, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])

        with pytest.raises(ModelError):
            read_spec(path)


def test_a_damaged_model_gives_a_model_error_or_a_spec_and_nothing_else(tmp_path):
    """120 copies with bytes overwritten, inserted or removed, seeded; none may crash or raise anything else."""
    weight = onnx.numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w")
    conv = onnx.helper.make_node("Conv", ["images", "w"], ["c"], kernel_shape=[3, 3], strides=[2, 2])
    relu = onnx.helper.make_node("LeakyRelu", ["c"], ["out"], alpha=0.1)
    model = tiny([("images", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])], nodes=[conv, relu], initializer=[weight])
    whole, dice, refused = model.SerializeToString(), random.Random(0), 0
    for _ in range(120):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(damaged))
            damaged[at : at + dice.choice((0, 1, 1, 3))] = dice.randbytes(dice.choice((0, 1, 1, 2)))
        path = tmp_path / "m.onnx"
        path.write_bytes(damaged)
        try:
            assert read_spec(path).image
        except ModelError as error:
            refused += bool(error.fix)

    assert refused > 20


@pytest.fixture
def scattered(models, tmp_path) -> Path:
    """yolov8n with its weights in another file beside it."""
    path = tmp_path / "scattered.onnx"
    model = onnx.load(models / "yolov8n-640.onnx")
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=1024)
    return path


def test_weights_in_another_file_come_with_the_model_and_count_in_its_hash(scattered):
    before = read_spec(scattered)
    data = bytearray((scattered.parent / "weights.bin").read_bytes())
    data[1000] ^= 1
    (scattered.parent / "weights.bin").write_bytes(data)

    assert (before.head.kind, before.head.classes) == (HeadKind.V8, 80)
    assert read_spec(scattered).sha256 != before.sha256
    assert all(not tensor.external_data for tensor in load(scattered).graph.initializer)


def test_weights_that_are_missing_are_named(scattered):
    (scattered.parent / "weights.bin").unlink()

    with pytest.raises(ModelError, match=r"weights.bin") as error:
        read_spec(scattered)

    assert "beside the model" in error.value.fix


def test_weights_that_are_cut_off_are_refused(scattered):
    data = (scattered.parent / "weights.bin").read_bytes()
    (scattered.parent / "weights.bin").write_bytes(data[: len(data) // 2])

    with pytest.raises(ModelError):
        read_spec(scattered)


def test_weights_outside_the_models_folder_are_not_read(scattered):
    model = onnx.load_model(scattered, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../../etc/passwd" if entry.key == "location" else entry.value
    scattered.write_bytes(model.SerializeToString())

    with pytest.raises(ModelError, match="cannot be read"):
        read_spec(scattered)
