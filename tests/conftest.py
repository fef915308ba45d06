"""Where tests find real models and pictures: ``POLYYOLO_SHARED``, else ``../shared`` beside the project."""

import importlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

# A shell starts what runs in the background without Ctrl-C, nohup without the end of the terminal, and children inherit
# that; some tests send both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


FAKES = Path(__file__).resolve().parent / "fakes"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real models and labelled pictures."""
    here = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("POLYYOLO_SHARED", here.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no real models at {folder}: set POLYYOLO_SHARED")
    return folder


@pytest.fixture(scope="session")
def models(shared: Path) -> Path:
    """Real models, see the README there."""
    return shared / "models"


@pytest.fixture(scope="session")
def train(shared: Path) -> Path:
    """128 labelled pictures to calibrate with."""
    return shared / "data" / "coco128-train"


@pytest.fixture(scope="session")
def val(shared: Path) -> Path:
    """128 labelled pictures to measure with."""
    return shared / "data" / "coco128-val"


LITTLE_YOLO = """<ir_version: 8, opset_import: ["" : 17]>
little (float[BATCH,3,64,64] images) => (float[BATCH,6,84] output0) {
    CONV stem images 3 8 2
    CONV down1 stem 8 16 2
    CONV cv1 down1 16 16 1
    left, right = Split<axis = 1>(cv1, halves)
    CONV m1 right 8 8 1
    CONV m2 m1 8 8 1
    sum = Add(right, m2)
    split = Concat<axis = 1>(left, right, sum)
    CONV cv2 split 24 16 1
    CONV p3 cv2 16 16 2
    CONV p4 p3 16 16 2
    CONV p5 p4 16 16 2
    pool = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(p5)
    pools = Concat<axis = 1>(p5, pool)
    CONV top pools 32 16 1
    up = Resize<mode = "nearest">(top, , scales)
    joined = Concat<axis = 1>(up, p4)
    CONV middle joined 32 16 1
    HEAD h3 p3 16
    HEAD h4 middle 16
    HEAD h5 top 16
    all = Concat<axis = 2>(h3_flat, h4_flat, h5_flat)
    bounded = Sigmoid(all)
    centres, sizes, scores = Split<axis = 1>(bounded, parts)
    offset = Add(centres, grid)
    xy = Mul(offset, strides)
    wh = Mul(sizes, extents)
    output0 = Concat<axis = 1>(xy, wh, scores)
}"""


def _little_yolo(batch: str) -> onnx.ModelProto:
    """A small YOLOv8: 84 cells, 2 classes, strides 8, 16 and 32, with SiLU, Split, skip, MaxPool, Concat and Resize."""
    generator = np.random.default_rng(0)
    constants: dict[str, np.ndarray] = {
        "halves": np.array([8, 8]),
        "parts": np.array([2, 2, 2]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "flat": np.array([0, 6, -1]),
    }
    places = [(x, y, stride) for stride in (8, 16, 32) for y in range(64 // stride) for x in range(64 // stride)]
    columns = np.array(places, np.float32).T[None]
    constants |= {"grid": columns[:, :2], "strides": columns[:, 2:], "extents": 1.5 * columns[:, 2:]}

    def written(line: str) -> str:
        kind, *rest = line.split()
        if kind not in ("CONV", "HEAD"):
            return line
        name, source, inner, *more = rest
        kernel, wide = (1, 6) if kind == "HEAD" else (3, int(more[0]))
        fan = int(inner) * kernel**2
        weight = generator.normal(0, (4 / fan) ** 0.5, (wide, int(inner), kernel, kernel))
        bias = np.zeros(wide)
        if kind == "HEAD":  # boxes of three quarters of a cell, so that none hides another
            weight[:4] *= 0.005
            weight[4:] *= 2
            bias[4:] = -4
        constants[f"{name}_w"], constants[f"{name}_b"] = weight.astype(np.float32), bias.astype(np.float32)
        stride = int(more[1]) if more else 1
        attributes = f"kernel_shape = {[kernel] * 2}, pads = {[kernel // 2] * 4}, strides = {[stride] * 2}"
        conv = f"Conv<{attributes}>({source}, {name}_w, {name}_b)"
        if kind == "HEAD":
            return f"{name} = {conv}\n{name}_flat = Reshape({name}, flat)"
        return f"{name}_conv = {conv}\n{name}_gate = Sigmoid({name}_conv)\n{name} = Mul({name}_conv, {name}_gate)"

    text = "\n".join(map(written, LITTLE_YOLO.replace("BATCH", batch).splitlines()))
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.helper.set_model_props(model, {"names": "{0: 'dark', 1: 'bright'}"})
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope="session")
def little_yolo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small YOLOv8 of static shape with seeded weights, as an ONNX file."""
    path = tmp_path_factory.mktemp("little") / "little.onnx"
    onnx.save(_little_yolo("1"), path)
    return path


@pytest.fixture(scope="session")
def little_dynamic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an open batch."""
    path = tmp_path_factory.mktemp("little") / "little-dyn.onnx"
    onnx.save(_little_yolo("batch"), path)
    return path


@pytest.fixture(scope="session")
def little_deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as it is exported for TensorRT: its boxes and scores go into the NMS plugin EfficientNMS_TRT."""
    model = _little_yolo("1")
    (joined,) = model.graph.output
    channels, rows = (dim.dim_value for dim in joined.type.tensor_type.shape.dim[1:])
    chosen = "int32[1,1] number, float[1,50,4] places, float[1,50] chances, int32[1,50] labels"
    options = (
        "score_threshold = 0.05, iou_threshold = 0.6, max_output_boxes = 50, background_class = -1, "
        "score_activation = 0, box_coding = 1"
    )
    tail = onnx.parser.parse_graph(
        f"tail (float[1,{channels},{rows}] {joined.name}) => ({chosen})"
        f"<int64[1] zero = {{0}}, int64[1] four = {{4}}, int64[1] end = {{{channels}}}, int64[1] last = {{2}}> {{"
        f"by_row = Transpose <perm = [0, 2, 1]> ({joined.name})"
        "box = Slice (by_row, zero, four, last)"
        "chance = Slice (by_row, four, end, last)"
        f"number, places, chances, labels = TRT.EfficientNMS_TRT <{options}> (box, chance) }}"
    )
    model.graph.node.extend(tail.node)
    model.graph.initializer.extend(tail.initializer)
    del model.graph.output[:]
    model.graph.output.extend(tail.output)
    model.opset_import.add(domain="TRT", version=1)
    path = tmp_path_factory.mktemp("little") / "little-deployed.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def little_open(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Batch, height and width open: three convolutions, the output of a YOLOv8 (``--head v8``) of two classes."""
    generator = np.random.default_rng(0)
    constants: dict[str, np.ndarray] = {"flat": np.array([0, 6, -1]), "bias": np.zeros(6, np.float32)}
    lines = []
    for stride in (8, 16, 32):
        constants[f"w{stride}"] = generator.normal(0, 1 / stride, (6, 3, stride, stride)).astype(np.float32)
        attributes = f"kernel_shape = {[stride] * 2}, strides = {[stride] * 2}"
        lines.append(f"h{stride} = Conv<{attributes}>(images, w{stride}, bias)\nf{stride} = Reshape(h{stride}, flat)")
    body = "\n".join([*lines, "all = Concat<axis = 2>(f8, f16, f32)", "output0 = Sigmoid(all)"])
    interface = "open (float[batch,3,height,width] images) => (float[batch,6,cells] output0)"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {interface} {{ {body} }}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.helper.set_model_props(model, {"names": "{0: 'dark', 1: 'bright'}"})
    onnx.checker.check_model(model, full_check=True)
    path = tmp_path_factory.mktemp("little") / "little-open.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def little_open_engine(tmp_path_factory: pytest.TempPathFactory, little_open: Path) -> Path:
    """A real engine of it: 1x3x64x64, best at 2x3x64x128, to 4x3x128x256. Its own 640x640 is not among that."""
    from polyyolo.engines.gpu import first_gpu

    if missing := first_gpu().missing:
        pytest.skip(missing)
    pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    backend = importlib.import_module("polygraphy.backend.trt")
    profile = backend.Profile().add("images", (1, 3, 64, 64), (2, 3, 64, 128), (4, 3, 128, 256))
    config = backend.CreateConfig(profiles=[profile], builder_optimization_level=0)
    path = tmp_path_factory.mktemp("engine") / "little-open.plan"
    network = backend.NetworkFromOnnxPath(str(little_open))
    backend.SaveEngine(backend.EngineFromNetwork(network, config), str(path))()
    return path


@pytest.fixture(scope="session")
def little_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 pictures of bright blocks on noise, seeded."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(1)
    for number in range(24):
        image = generator.integers(0, 90, (48, 80, 3), np.uint8)
        for _ in range(4):
            y, x = generator.integers(0, (32, 64))
            image[y : y + 16, x : x + 16] = generator.integers(0, 256, 3)
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    return folder


@pytest.fixture(scope="session")
def little_labelled(tmp_path_factory: pytest.TempPathFactory, little_pictures: Path) -> Path:
    """Eight other pictures with a label each, in YOLO's form."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    for number in range(8):
        image = cv2.imread(str(little_pictures / f"{number:02}.png"))
        cv2.imwrite(str(folder / "images" / f"held-{number}.png"), image[:, ::-1])
        (folder / "labels" / f"held-{number}.txt").write_text(f"{number % 2} 0.5 0.5 0.4 0.6\n")
    return folder


@pytest.fixture(scope="session")
def little_seen(tmp_path_factory: pytest.TempPathFactory, little_yolo: Path, little_pictures: Path) -> Path:
    """Twelve pictures whose labels are what the little model finds on them."""
    from polyyolo.images.presets import preprocessing_for
    from polyyolo.images.sources import find_pictures
    from polyyolo.models.spec import read_spec
    from polyyolo.verification.sightings import View, look

    folder = tmp_path_factory.mktemp("seen")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    pictures = [shutil.copy(path, folder / "images" / path.name) for path in find_pictures(little_pictures)[:12]]
    spec = read_spec(little_yolo)
    seen = look(View((spec,), preprocessing_for(spec, (64, 64)), evaluate=False), pictures)
    for path, sighting in zip(pictures, seen, strict=True):
        (height, width), (boxes,) = sighting.size, sighting.shown
        rows = [
            f"{label} {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} {(x2 - x1) / width} {(y2 - y1) / height}"
            for label, (x1, y1, x2, y2) in zip(boxes.classes, boxes.xyxy.tolist(), strict=True)
        ]
        (folder / "labels" / f"{path.stem}.txt").write_text("\n".join(rows))
    return folder


@pytest.fixture
def fake_trtexec(tmp_path: Path) -> Callable[..., Path]:
    """Install a program that plays trtexec of a release, or tensorrt_rtx; see tests/fakes/trtexec.py."""
    script = FAKES / "trtexec.py"

    def install(version: str, fail: str | None = None, name: str = "") -> Path:
        name = name or ("tensorrt_rtx" if version.startswith("rtx-") else "trtexec")
        program = tmp_path / f"tensorrt-{version}" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(
            f"#!/bin/sh\nFAKE_TRTEXEC_VERSION='{version}'\nFAKE_TRTEXEC_FAIL=${{FAKE_TRTEXEC_FAIL-{fail or ''}}}\n"
            f"export FAKE_TRTEXEC_VERSION FAKE_TRTEXEC_FAIL\nexec '{sys.executable}' '{script}' \"$@\"\n"
        )
        program.chmod(0o755)
        return program

    return install


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no official address, and a pip that knows one folder only, which it gives: fetching fails."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "EXTRA_INDEX_URL": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("POLYYOLO_CACHE", str(tmp_path / "cache"))
    return wheels


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make a machine of given programs (name: body of a shell script) and no others; gives their folder."""
    folder = tmp_path / "machine"
    folder.mkdir()

    def make(**scripts: str) -> Path:
        for name, body in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(0o755)
        return folder

    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("TRTEXEC", raising=False)
    monkeypatch.setattr("polyyolo.engines.programs.TRTEXEC_FOLDERS", ())
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return make


@pytest.fixture
def dynamic_plan(tmp_path: Path, fake_trtexec: Callable[..., Path]) -> Callable[..., tuple[Path, Path]]:
    """Install a trtexec, and write what it would build of a YOLO with batch 1 to 8 in FP32; building itself is slow.

    ``profile`` is what another engine takes: input name -> its min, opt and max.
    """
    sys.path.insert(0, str(FAKES))
    fakes = importlib.import_module("trtexec")
    sys.path.remove(str(FAKES))

    def make(version: str, profile: dict[str, list[list[int]]] | None = None) -> tuple[Path, Path]:
        program, path = fake_trtexec(version), tmp_path / "run" / f"{version}.plan"
        path.parent.mkdir(exist_ok=True)
        profile = profile or {"images": [[size, 3, 64, 64] for size in (1, 4, 8)]}
        numbers = [int(number) for number in version.removeprefix("rtx-").split(".")]
        engine = {
            "onnx": "yolo.onnx",
            "inputs": {name: [-1] * len(bounds[0]) for name, bounds in profile.items()},
            "outputs": {"output0": [-1, 6, 84]},
            "profile": profile,
            "precision": "fp32",
            "gpu": {"name": "NVIDIA H200", "capability": "9.0"},
        }
        content = fakes.plan_of(engine, (*numbers, 0, 0, 0)[:4], rtx=version.startswith("rtx-"))
        path.write_bytes(content)
        return program, path

    return make
