"""Modules that no checkpoint at hand has, each against its definition in numpy.

The same modules were also compared with Ultralytics' own, with random weights: raw maps equal to 2e-5.
"""

import numpy as np
import onnx
import onnxruntime
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.checkpoint import convert
from polyyolo.models.spec import read_spec

RNG = np.random.default_rng(1)
IMAGE = RNG.uniform(size=(2, 3, 32, 48)).astype(np.float32)


def conv2d(x, weight, bias=None, *, stride=1, padding=0, groups=1):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    kernel = weight.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3))[:, :, ::stride, ::stride]
    pieces = zip(np.split(windows, groups, 1), np.split(weight, groups), strict=True)
    out = np.concatenate([np.einsum("bchwij,ocij->bohw", *piece) for piece in pieces], 1)
    return out if bias is None else out + bias[None, :, None, None]


def batch_norm(x, mean, variance, gain, offset):
    mean, variance, gain, offset = (vector[None, :, None, None] for vector in (mean, variance, gain, offset))
    return (x - mean) / np.sqrt(variance + 1e-3) * gain + offset


def max_pool(x, size):
    edge = size // 2
    x = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3)).max((4, 5))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def array_of(forge, tensor):
    """The numbers behind a tensor that the forge made."""
    place, _, shape, *_ = tensor.args
    return np.frombuffer(forge.storages[place.id[2]], np.float32).reshape(shape)


def block_in_numpy(forge, block, x, act=silu, **window):
    """What a ``Conv`` block of the forge computes."""
    conv, norm = (block.state["_modules"][name].state for name in ("conv", "bn"))
    terms = [norm["_buffers"]["running_mean"], norm["_buffers"]["running_var"]]
    terms += [norm["_parameters"]["weight"], norm["_parameters"]["bias"]]
    y = conv2d(x, array_of(forge, conv["_parameters"]["weight"]), **window)
    return act(batch_norm(y, *(array_of(forge, term) for term in terms)))


def raw_map(forge, tmp_path, layers, channels, stride, **options):
    """Convert ``layers`` and a head that passes the first channels of their map through; give that map."""
    out = 2 * 7
    head = forge.detect_v5(channels, 2, stride)
    passing = np.eye(out, channels, dtype=np.float32)[:, :, None, None]
    head.state["_modules"]["m"] = forge.sequence(forge.conv2d(passing), kind="ModuleList")
    path = forge.save(tmp_path / "x.pt", {"model": forge.model([*layers, head])})
    options = {"size": IMAGE.shape[2:], "batch": len(IMAGE), "head": "raw"} | options
    onnx_path = convert(path, tmp_path / "x.onnx", **options)
    session = onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": IMAGE})[0][:, :channels]


def assert_close(actual, expected):
    assert expected.std() > 0.1  # it says something
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3])
def test_focus_as_one_convolution_equals_slices_and_convolution(forge, tmp_path, kernel):
    block = forge.conv((8, 12, kernel, kernel), padding=(kernel // 2,) * 2)
    actual = raw_map(forge, tmp_path, [forge.module("models.common.Focus", {"conv": block})], 8, 2)
    squares = [IMAGE[:, :, y::2, x::2] for y, x in ((0, 0), (1, 0), (0, 1), (1, 1))]
    assert_close(actual, block_in_numpy(forge, block, np.concatenate(squares, 1), padding=kernel // 2))
    kinds = [node.op_type for node in onnx.load(tmp_path / "x.onnx").graph.node]
    assert kinds == ["Conv", "Sigmoid", "Mul", "Conv"]


def test_bottleneck_csp_folds_each_half_of_its_batch_norm(forge, tmp_path):
    def leaky(x):
        return np.where(x > 0, x, 0.1 * x)

    first, last = forge.conv((4, 3, 1, 1)), forge.conv((8, 8, 1, 1))
    left, right = (RNG.normal(size=(4, channels, 1, 1)).astype(np.float32) for channels in (4, 3))
    norm, terms = forge.random_norm(8)
    act = forge.module("torch.nn.modules.activation.LeakyReLU", negative_slope=0.1)
    children = {"cv1": first, "cv2": forge.conv2d(right), "cv3": forge.conv2d(left), "cv4": last}
    csp = forge.module("models.common.BottleneckCSP", {**children, "bn": norm, "act": act, "m": forge.sequence()})
    actual = raw_map(forge, tmp_path, [csp], 8, 1)
    deep = conv2d(block_in_numpy(forge, first, IMAGE), left)
    joined = leaky(batch_norm(np.concatenate([deep, conv2d(IMAGE, right)], 1), *terms))
    assert_close(actual, block_in_numpy(forge, last, joined))


def test_c3_and_bottleneck_with_a_shortcut(forge, tmp_path):
    cv1, cv2, cv3 = forge.conv((4, 3, 1, 1)), forge.conv((4, 3, 1, 1)), forge.conv((8, 8, 1, 1))
    inner = [forge.conv((4, 4, 1, 1)), forge.conv((4, 4, 3, 3), padding=(1, 1))]
    bottleneck = forge.module("models.common.Bottleneck", dict(zip(("cv1", "cv2"), inner, strict=True)), add=True)
    c3 = forge.module("models.common.C3", {"cv1": cv1, "cv2": cv2, "cv3": cv3, "m": forge.sequence(bottleneck)})
    actual = raw_map(forge, tmp_path, [c3], 8, 1)
    x = block_in_numpy(forge, cv1, IMAGE)
    deep = x + block_in_numpy(forge, inner[1], block_in_numpy(forge, inner[0], x), padding=1)
    assert_close(actual, block_in_numpy(forge, cv3, np.concatenate([deep, block_in_numpy(forge, cv2, IMAGE)], 1)))


def test_spp_pools_side_by_side_and_sppf_one_after_the_other(forge, tmp_path):
    cv1, cv2 = forge.conv((3, 3, 1, 1)), forge.conv((8, 12, 1, 1))

    def pool(size):
        window = {"kernel_size": size, "stride": 1, "padding": size // 2, "dilation": 1}
        return forge.module("torch.nn.modules.pooling.MaxPool2d", **window, ceil_mode=False)

    pools = forge.sequence(pool(5), pool(9), pool(13), kind="ModuleList")
    spp = forge.module("models.common.SPP", {"cv1": cv1, "cv2": cv2, "m": pools})
    sppf = forge.module("models.common.SPPF", {"cv1": cv1, "cv2": cv2, "m": pool(5)})
    x = block_in_numpy(forge, cv1, IMAGE)
    expected = block_in_numpy(forge, cv2, np.concatenate([x, *(max_pool(x, size) for size in (5, 9, 13))], 1))
    assert_close(raw_map(forge, tmp_path, [spp], 8, 1), expected)
    assert_close(raw_map(forge, tmp_path, [sppf], 8, 1), expected)


@pytest.mark.parametrize(
    ("kind", "attributes", "function"),
    [
        ("Hardswish", {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
        ("LeakyReLU", {"negative_slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
        ("Mish", {}, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("ReLU", {}, lambda x: np.maximum(x, 0)),
        ("Sigmoid", {}, sigmoid),
        ("Identity", {}, lambda x: x),
    ],
)
def test_each_activation(forge, tmp_path, kind, attributes, function):
    act = forge.module(f"torch.nn.modules.activation.{kind}", **attributes)
    block = forge.conv((8, 3, 3, 3), act, padding=(1, 1))
    assert_close(raw_map(forge, tmp_path, [block], 8, 1), block_in_numpy(forge, block, IMAGE, function, padding=1))


@pytest.mark.parametrize("options", [{}, {"dynamic": True}, {"opset": 12}])
def test_c2psa_attends_over_all_cells(forge, tmp_path, options):
    heads, key, value = 2, 2, 4
    dim = heads * value
    none = forge.module("torch.nn.modules.linear.Identity")
    qkv = forge.conv((heads * (2 * key + value), dim, 1, 1), none)
    pe, proj = forge.conv((dim, 1, 3, 3), none, padding=(1, 1), groups=dim), forge.conv((dim, dim, 1, 1), none)
    sizes = {"num_heads": heads, "key_dim": key, "head_dim": value, "scale": key**-0.5}
    attention = forge.module("ultralytics.nn.modules.block.Attention", {"qkv": qkv, "pe": pe, "proj": proj}, **sizes)
    ffn = forge.conv((2 * dim, dim, 1, 1)), forge.conv((dim, 2 * dim, 1, 1), none)
    block = {"attn": attention, "ffn": forge.sequence(*ffn)}
    inner = forge.sequence(forge.module("ultralytics.nn.modules.block.PSABlock", block, add=True))
    cv1, cv2 = forge.conv((2 * dim, 3, 1, 1)), forge.conv((8, 2 * dim, 1, 1))
    c2psa = forge.module("ultralytics.nn.modules.block.C2PSA", {"cv1": cv1, "cv2": cv2, "m": inner}, c=dim)
    actual = raw_map(forge, tmp_path, [c2psa], 8, 1, **options)

    def run(module, x, **window):
        return block_in_numpy(forge, module, x, lambda y: y, **window)

    left, x = np.split(block_in_numpy(forge, cv1, IMAGE), 2, 1)
    batch, _, height, width = x.shape
    mixed = run(qkv, x).reshape(batch, heads, 2 * key + value, -1)
    q, k, v = np.split(mixed, [key, 2 * key], 2)
    weights = np.exp(np.einsum("bhkn,bhkm->bhnm", q, k) * key**-0.5)
    attended = np.einsum("bhvm,bhnm->bhvn", v, weights / weights.sum(3, keepdims=True))
    folded = [part.reshape(batch, dim, height, width) for part in (attended, v)]
    x = x + run(proj, folded[0] + run(pe, folded[1], padding=1, groups=dim))
    x = x + run(ffn[1], block_in_numpy(forge, ffn[0], x))
    assert_close(actual, block_in_numpy(forge, cv2, np.concatenate([left, x], 1)))


def test_upsample_and_concat_join_an_earlier_layer(forge, tmp_path):
    up = forge.module("torch.nn.modules.upsampling.Upsample", size=None, scale_factor=2.0, mode="nearest")
    first, second = forge.conv((4, 3, 1, 1)), forge.down(4, 4)
    concat = forge.module("models.common.Concat", d=1)
    head = forge.detect_v5(8, 2, 1)
    passing = np.eye(14, 8, dtype=np.float32)[:, :, None, None]
    head.state["_modules"]["m"] = forge.sequence(forge.conv2d(passing), kind="ModuleList")
    model = forge.model([first, second, up, concat, head], sources={3: [-1, 0]})
    path = forge.save(tmp_path / "x.pt", {"model": model})
    onnx_path = convert(path, tmp_path / "x.onnx", head="raw", size=(32, 48), batch=2)
    actual = onnxruntime.InferenceSession(str(onnx_path)).run(None, {"images": IMAGE})[0][:, :8]
    low = block_in_numpy(forge, first, IMAGE)
    deep = block_in_numpy(forge, second, low, stride=2, padding=1).repeat(2, 2).repeat(2, 3)
    assert_close(actual, np.concatenate([deep, low], 1))


@pytest.mark.parametrize("dynamic", [False, True])
def test_v5_rows_are_decoded_by_its_own_rule(forge, tmp_path, dynamic):
    path = forge.save(tmp_path / "x.pt", {"model": forge.tiny()})
    raw, decoded = (
        onnxruntime.InferenceSession(
            str(convert(path, tmp_path / f"{head}.onnx", head=head, size=(32, 48), batch=2, dynamic=dynamic))
        ).run(None, {"images": IMAGE})[0]
        for head in ("raw", "decoded")
    )
    assert decoded.shape == (2, 2 * 4 * 6, 7)
    for anchor, (width, height) in enumerate([(10, 13), (16, 30)]):
        for y, x in ((0, 0), (3, 5), (1, 4)):
            cell = sigmoid(raw[:, 7 * anchor : 7 * (anchor + 1), y, x])
            centre = (cell[:, :2] * 2 - 0.5 + [x, y]) * 8
            size = (cell[:, 2:4] * 2) ** 2 * [width, height]
            row = decoded[:, anchor * 24 + y * 6 + x]
            np.testing.assert_allclose(row, np.concatenate([centre, size, cell[:, 4:]], 1), rtol=1e-5, atol=1e-5)


def test_the_moving_average_is_preferred_and_fp16_is_computed_in_fp32(forge, tmp_path):
    forge.half = True
    ema = forge.tiny()
    path = forge.save(tmp_path / "x.pt", {"model": forge.tiny(), "ema": ema})
    graph = onnx.load(convert(path, tmp_path / "x.onnx", size=(32, 32))).graph
    bias = next(onnx.numpy_helper.to_array(i) for i in graph.initializer if i.name == "model.3.m.0.bias")
    place = ema.state["_modules"]["model"].state["_modules"]["3"].state["_modules"]["m"].state["_modules"]["0"]
    key = place.state["_parameters"]["bias"].args[0].id[2]
    assert bias.dtype == np.float32
    np.testing.assert_array_equal(bias, np.frombuffer(forge.storages[key], np.float16))


def test_big_endian_checkpoints_are_read(forge, tmp_path):
    checkpoint = {"model": forge.tiny()}
    little = forge.save(tmp_path / "little.pt", checkpoint)
    forge.storages = {key: np.frombuffer(data, "<f4").astype(">f4").tobytes() for key, data in forge.storages.items()}
    big = forge.save(tmp_path / "big.pt", checkpoint, byteorder=b"big")
    wanted, got = (onnx.load(convert(path, path.with_suffix(".onnx"), size=(32, 32))) for path in (little, big))
    assert got == wanted


@pytest.mark.parametrize("names", [["cat", "dog"], {0: "cat", 1: "dog"}])
def test_class_names_may_be_a_list_or_a_dict(forge, tmp_path, names):
    model = forge.model([forge.down(3, 4), forge.detect_v5(4, 2, 2)], names=names)
    spec = read_spec(convert(forge.save(tmp_path / "x.pt", {"model": model}), tmp_path / "x.onnx", size=(32, 32)))
    assert spec.names == ("cat", "dog")


def test_a_module_that_is_not_known_is_named_with_its_place(forge, tmp_path):
    layers = [forge.down(3, 4), forge.module("models.common.SPPCSPC"), forge.detect_v5(4, 2, 2)]
    path = forge.save(tmp_path / "x.pt", {"model": forge.model(layers)})
    with pytest.raises(ModelError, match=r"model\.1 \(models\.common\.SPPCSPC\)") as error:
        convert(path, tmp_path / "x.onnx", size=(32, 32))
    assert "yolo export model=" in error.value.fix
    assert not (tmp_path / "x.onnx").exists()
