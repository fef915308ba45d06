"""A GPU that is not there: CUDA's driver as a small C library, and TensorRT's bindings as a module by hand."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from attrs import define, field

from polyyolo.engines.cuda import Cuda
from polyyolo.engines.engine_file import read_engine_file

FAKES = Path(__file__).resolve().parent.parent / "fakes"


@pytest.fixture(scope="session")
def libcuda(tmp_path_factory):
    """The library, compiled once; a stream's clock moves by what is put into it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the pretended driver")
    built = tmp_path_factory.mktemp("cuda") / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, FAKES / "libcuda.c"], check=True)
    return built


@pytest.fixture
def cuda(libcuda):
    return Cuda(str(libcuda))


@define
class FakeContext:
    """Runs for as long as the library says; knows the shapes that it takes."""

    library: ctypes.CDLL
    largest: int
    can_be_captured: bool
    shapes: dict = field(factory=dict)
    addresses: dict = field(factory=dict)

    def set_input_shape(self, name, shape):
        self.shapes[name] = tuple(shape)
        return shape[0] <= self.largest

    def get_tensor_shape(self, name):
        return self.shapes.get(name, (self.shapes["images"][0], 6, 84))

    def get_max_output_size(self, _):
        return 4 * 6 * 84 * self.largest

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream):
        captured = self.library.fake_kernel(ctypes.c_void_p(stream))
        return self.can_be_captured or not captured


@define(slots=False)
class FakeEngine:
    """A YOLO of batch 1 to 8 with one input and one output."""

    library: ctypes.CDLL | None = None
    can_be_captured: bool = True
    largest: int = 8
    num_io_tensors: int = 2
    num_optimization_profiles: int = 1
    num_layers: int = 61
    device_memory_size: int = 3 * 2**20
    contexts: list = field(factory=list)

    def get_tensor_name(self, index):
        return ("images", "output0")[index]

    def get_tensor_mode(self, name):
        return SimpleNamespace(name="INPUT" if name == "images" else "OUTPUT")

    def get_tensor_shape(self, name):
        return (-1, 3, 64, 64) if name == "images" else (-1, 6, 84)

    def get_tensor_dtype(self, _):
        return SimpleNamespace(name="FLOAT", itemsize=4)

    def get_tensor_profile_shape(self, *_):
        return [(size, 3, 64, 64) for size in (1, 4, self.largest)]

    def create_execution_context(self):
        self.contexts.append(FakeContext(self.library, self.largest, self.can_be_captured))
        return self.contexts[-1]


@pytest.fixture
def tensorrt(monkeypatch, libcuda):
    """Install a module ``tensorrt`` of a version; it loads ``engine``, or says why not."""

    def install(version="8.6.0", engine=None, said=""):
        engine = engine or FakeEngine()
        engine.library = ctypes.CDLL(str(libcuda))
        engine.library.fake_kernel_takes(ctypes.c_double(0.5))
        trt = ModuleType("tensorrt")
        trt.__version__ = version
        trt.ILogger = type("ILogger", (), {"ERROR": 1, "INTERNAL_ERROR": 0})

        class Runtime:
            def __init__(self, ears):
                self.ears = ears

            def deserialize_cuda_engine(self, _):
                if said:
                    self.ears.log(1, said)
                return None if said else engine

        trt.Runtime = Runtime
        monkeypatch.setitem(sys.modules, "tensorrt", trt)
        monkeypatch.setattr("polyyolo.engines.bindings.version_of", lambda *_: version)
        monkeypatch.setattr("polyyolo.engines.bindings.Cuda", lambda: Cuda(str(libcuda)))
        return engine

    return install


@pytest.fixture
def plan(tmp_path):
    """Write a plan that names its version, and nothing else."""

    def write(version=(8, 6, 0, 12), magic=b"ftrt", name="model.plan"):
        path = tmp_path / name
        path.write_bytes(magic + bytes(12) + (64).to_bytes(8, "little") + bytes(version) + bytes(36))
        return read_engine_file(path)

    return write
