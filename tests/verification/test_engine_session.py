"""Engines run where ONNX files run, and what keeps one from running is told with its fix.

There is no GPU in most places, so that TensorRT is played by stand-ins; the marked test has the real one.
"""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from attrs import evolve
from polygraphy.datatype import DataType

from polyyolo import progress
from polyyolo.engines.engine_file import read_engine_file
from polyyolo.engines.gpu import Gpu, first_gpu
from polyyolo.errors import InputError, ModelError, ToolchainError
from polyyolo.models.spec import read_spec
from polyyolo.records import HeadKind, ShapeRange
from polyyolo.verification import engine_session
from polyyolo.verification.engine_session import engine_of, size_taken
from polyyolo.verification.inference import Runner
from polyyolo.verification.subject import read_subject


def plan(magic=b"ftrt", version=(10, 16, 0, 72), size=4096):
    """The bytes of a plan, as far as anything but TensorRT reads them."""
    header = magic + bytes(12) + size.to_bytes(8, "little") + bytes(version)
    return header + bytes(size - len(header))


@pytest.fixture
def engine(little_dynamic, tmp_path):
    """What is known of an engine that was built from the little model, and its file."""
    path = tmp_path / "little.plan"
    path.write_bytes(plan())
    return evolve(read_spec(little_dynamic), path=path, sha256="e" * 64)


class FakeEngine:
    """An engine whose pictures come 2, 4 or 8 at a time."""

    names = ("images", "output0")
    num_io_tensors = 2

    def get_tensor_name(self, place):
        return self.names[place]

    def get_tensor_profile_shape(self, name, profile):
        assert (name, profile) == ("images", 0)
        return [[batch, 3, 64, 64] for batch in (2, 4, 8)]


class FakeRunner:
    """Gives each picture's mean, in a buffer that the next call writes to again, as Polygraphy's does."""

    def __init__(self, engine):
        self.engine = engine
        self.buffer = np.zeros((4, 1), np.float32)
        self.seen = []

    def activate(self):
        self.seen.append("activate")

    def deactivate(self):
        self.seen.append("deactivate")

    def get_input_metadata(self):
        return {"images": SimpleNamespace(dtype=DataType.FLOAT16)}

    def infer(self, feed, check_inputs):
        assert not check_inputs
        images = feed["images"]
        if images.shape[2:] != (64, 64):
            raise RuntimeError("failed to set shape")
        self.seen.append((images.shape, images.dtype))
        self.buffer[:] = images.mean(axis=(1, 2, 3), dtype=np.float32)[:, None]
        return {"output0": self.buffer}


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU and the fitting TensorRT; gives the runner once it is made."""
    made = []
    monkeypatch.setattr(engine_session, "first_gpu", lambda: Gpu("H200", "9.0"))
    monkeypatch.setattr(engine_session, "load", lambda _: FakeEngine())

    def runner(engine):
        made.append(FakeRunner(engine))
        return made[-1]

    monkeypatch.setattr(engine_session, "_backend", lambda _: SimpleNamespace(TrtRunner=runner))
    return made


def test_an_engine_takes_its_opt_batch_and_gives_every_picture_its_own_result(engine, gpu):
    """Six pictures through a batch of 4: the second is filled up; floats are cast to what the engine wants."""
    pictures = np.arange(6, dtype=np.float32).reshape(6, 1, 1, 1) * np.ones((6, 3, 64, 64), np.float32)

    with Runner(engine) as runner:
        outputs = runner.infer(pictures)
        assert runner.batch == 4

    assert outputs["output0"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert gpu[0].seen == ["activate", *[((4, 3, 64, 64), np.float16)] * 2, "deactivate"]


@pytest.mark.usefixtures("gpu")
def test_pictures_outside_the_profile_are_told_with_what_fits(engine):
    with Runner(engine) as runner, pytest.raises(ModelError, match=r"on images \(4, 3, 32, 32\)") as error:
        runner.infer(np.zeros((4, 3, 32, 32), np.float32))

    assert "(2, 3, 64, 64) to (8, 3, 64, 64), with --size" in error.value.fix


@pytest.mark.usefixtures("gpu")
def test_an_engine_of_another_model_is_refused(engine, monkeypatch):
    monkeypatch.setattr(FakeEngine, "names", ("images", "boxes"))

    with pytest.raises(ModelError, match=r"takes and gives boxes, images; its ONNX has output0 too"), Runner(engine):
        pass


def test_without_a_gpu_the_onnx_is_pointed_to(engine, monkeypatch):
    monkeypatch.setattr(engine_session, "first_gpu", lambda: Gpu(missing="no NVIDIA GPU: nvidia-smi is not installed"))

    with pytest.raises(ToolchainError, match=r"built by TensorRT 10\.16\.0\.72, and engines run on a GPU") as error:
        Runner(engine)

    assert "the ONNX that it was built from" in error.value.fix
    assert error.value.exit_code == 3


def test_a_runtime_that_is_not_installed_is_told_with_what_installs_it(engine, monkeypatch):
    monkeypatch.setattr(engine_session, "first_gpu", lambda: Gpu("H200", "9.0"))
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    with pytest.raises(ToolchainError, match="Python's tensorrt cannot be imported") as error, Runner(engine):
        pass

    assert "pip install 'polyyolo[tensorrt]'" in error.value.fix


def test_ultralytics_preface_is_no_obstacle(tmp_path):
    preface = b'{"names": {"0": "person"}}'
    path = tmp_path / "yolo.engine"
    path.write_bytes(len(preface).to_bytes(4, "little") + preface + plan())

    assert engine_of(path).offset == 4 + len(preface)


@pytest.mark.parametrize(
    "start", [b"", b"\x08\x08\x12\x07pytorch", b"TRT-8600-EntropyCalibration2\n", b"\x08\x08\x12\x01{"]
)
def test_what_does_not_begin_as_an_engine_is_left_to_the_reader_of_onnx(tmp_path, start):
    (tmp_path / "file").write_bytes(start)

    assert engine_of(tmp_path / "file") is None
    assert engine_of(tmp_path / "gone") is None


@pytest.mark.parametrize(
    ("data", "told"),
    [(plan(b"vtrt")[:2000], "2000 bytes of the 4096"), (b"ftrt", "too few"), (b"xtrt" + bytes(99), "unknown kind")],
)
def test_a_cut_or_strange_engine_is_told_before_anything_loads_it(tmp_path, data, told):
    (tmp_path / "cut.plan").write_bytes(data)

    with pytest.raises(InputError, match=told):
        engine_of(tmp_path / "cut.plan")


def test_one_process_binds_polygraphy_to_one_of_the_two_tensorrts():
    """Polygraphy chooses when its backend is first imported; ONNX Runtime's was imported long before."""
    code = """
import polyyolo.verification.session
from polygraphy.mod.trt_importer import tensorrt_module_and_version_string as chosen
from polyyolo.errors import ToolchainError
from polyyolo.records import ToolchainKind
from polyyolo.verification.engine_session import _backend
_backend(ToolchainKind.RTX)
print(chosen())
_backend(ToolchainKind.RTX)
try:
    _backend(ToolchainKind.TENSORRT)
except ToolchainError as error:
    print(error.fix)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-2:] == ["tensorrt_rtx>=1.0", "use one after the other, in processes of their own"]


@pytest.mark.parametrize(
    ("usual", "size", "warnings"),
    [
        ((64, 96), (64, 96), []),
        ((640, 640), (384, 1280), ["does not take 640x640: pictures become 384x1280, its profile's opt"]),
    ],
)
def test_an_engine_that_does_not_take_the_usual_size_is_given_its_own(engine, monkeypatch, usual, size, warnings):
    takes = {"images": ShapeRange((1, 3, 64, 96), (12, 3, 384, 1280), (26, 3, 384, 1280))}
    monkeypatch.setattr(engine_session, "first_gpu", lambda: Gpu("H200", "9.0"))
    monkeypatch.setattr(engine_session, "look_inside", lambda _: SimpleNamespace(profiles=(takes, {})))
    ears = progress.Recorder(progress.Silent())

    with progress.listening(ears):
        chosen = size_taken(engine, read_engine_file(engine.path), usual)

    assert chosen == size
    assert [each.message for each in ears.warnings] == [f"{engine.path} {said}" for said in warnings]


def test_the_size_of_an_engine_of_another_model_is_left_to_whoever_runs_it(engine, monkeypatch):
    monkeypatch.setattr(engine_session, "first_gpu", lambda: Gpu("H200", "9.0"))
    monkeypatch.setattr(engine_session, "look_inside", lambda _: SimpleNamespace(profiles=({"x": None},)))

    assert size_taken(engine, read_engine_file(engine.path), (640, 640)) == (640, 640)


@pytest.mark.gpu
def test_a_real_engine_of_open_height_and_width_is_given_pictures_that_it_takes(little_open, little_open_engine):
    """Its ONNX is usually given 640x640; in batches of 2 it sees what ONNX Runtime sees."""
    subject = read_subject(str(little_open_engine), onnx=str(little_open), head=HeadKind.V8)
    size = subject.preprocessing().size
    pictures = np.random.default_rng(0).uniform(size=(3, 3, *size)).astype(np.float32)

    with Runner(read_spec(little_open, head=HeadKind.V8)) as onnx, Runner(subject.spec) as engine:
        wanted, got = onnx.infer(pictures)["output0"], engine.infer(pictures)["output0"]
        batch = engine.batch

    assert (size, batch) == ((64, 128), 2)
    assert subject.preprocessing((64, 64)).size == (64, 64)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
def test_a_real_engine_gives_what_onnx_runtime_gives(little_yolo, tmp_path):
    """FP32 with TF32 off: differences are of rounding alone."""
    if not first_gpu().name:
        pytest.skip("no NVIDIA GPU")
    pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    from polygraphy.backend.trt import engine_from_network, network_from_onnx_path, save_engine

    spec = read_spec(little_yolo)
    path = tmp_path / "little.plan"
    save_engine(engine_from_network(network_from_onnx_path(str(little_yolo))), str(path))
    built = evolve(spec, path=path, sha256=read_engine_file(path).version)
    pictures = np.random.default_rng(0).uniform(size=(3, 3, 64, 64)).astype(np.float32)

    with Runner(spec) as onnx, Runner(built) as engine:
        wanted, got = onnx.infer(pictures)["output0"], engine.infer(pictures)["output0"]

    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3)
