"""What an engine takes is asked of TensorRT; why it cannot be asked is told apart."""

import sys

import pytest

from polyyolo.engines.bindings import bindings_for, foreign
from polyyolo.engines.engine_file import EngineFile, read_engine_file
from polyyolo.engines.inside import describe, look_inside
from polyyolo.errors import InputError, ToolchainError
from polyyolo.records import TensorSpec, ToolchainKind


class Name:
    def __init__(self, name):
        self.name = name


class FakeEngine:
    """As TensorRT 11 answers: one input with an open batch, one output, two profiles."""

    num_io_tensors = 2
    num_layers = 61
    num_optimization_profiles = 2
    device_memory_size_v2 = 3 * 2**20

    def get_tensor_name(self, index):
        return ("images", "output0")[index]

    def get_tensor_mode(self, name):
        return Name("INPUT" if name == "images" else "OUTPUT")

    def get_tensor_shape(self, name):
        return (-1, 3, 64, 64) if name == "images" else (-1, 6, 84)

    def get_tensor_dtype(self, _):
        return Name("HALF")

    def get_tensor_profile_shape(self, _, profile):
        return [(size * (profile + 1), 3, 64, 64) for size in (1, 4, 8)]


def test_inputs_outputs_profiles_and_memory_are_described():
    inside = describe(FakeEngine())

    assert inside.inputs == (TensorSpec("images", "half", ("axis0", 3, 64, 64)),)
    assert inside.outputs == (TensorSpec("output0", "half", ("axis0", 6, 84)),)
    assert [profile["images"].max[0] for profile in inside.profiles] == [8, 16]
    assert (inside.memory_bytes, inside.layers) == (3145728, 61)


def test_the_memory_has_another_name_before_tensorrt_10():
    class Older(FakeEngine):
        device_memory_size_v2 = 0
        device_memory_size = 7

    assert describe(Older()).memory_bytes == 7


def engine_of(path, version="8.6.0.12", kind=ToolchainKind.TENSORRT):
    path.write_bytes((b"vtrt" if kind is ToolchainKind.RTX else b"ftrt") + bytes(60))
    return EngineFile(path, 64, kind, version)


def test_without_its_bindings_an_engine_is_told_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    with pytest.raises(
        ToolchainError, match=r"was built with TensorRT 8\.6\.0\.12, and Python's tensorrt cannot"
    ) as error:
        bindings_for(engine_of(tmp_path / "m.plan"))

    assert "polyyolo[tensorrt]" in error.value.fix


@pytest.mark.parametrize(
    ("here", "built", "is_foreign"),
    [
        ("10.16.1.11", "8.6.0.12", True),
        ("8.6.0", "8.6.0.12", False),
        ("8.6.1", "8.6.0.12", True),
        ("", "8.6.0.12", False),
        ("10.16.1", "", False),
    ],
)
def test_another_version_is_told_where_both_are_known(tmp_path, monkeypatch, here, built, is_foreign):
    monkeypatch.setattr("polyyolo.engines.bindings.version_of", lambda *_: here)

    found = foreign(engine_of(tmp_path / "m.plan", built))

    assert (found is not None) is is_foreign
    if found:
        assert f"was built with TensorRT {built}, and {here} is here" in found.message
        assert f"tensorrt=={built}" in found.fix


def test_a_plan_that_does_not_load_here_is_named_with_the_reason(tmp_path, monkeypatch):
    """The bindings tell of damage before they want a driver."""
    pytest.importorskip("tensorrt_rtx")
    monkeypatch.setattr("polyyolo.engines.bindings.Cuda", lambda: None)
    path = tmp_path / "m.plan"
    path.write_bytes(b"vtrt" + bytes(12) + (64).to_bytes(8, "little") + bytes((1, 7, 1, 116)) + bytes(36))

    with pytest.raises(InputError) as error:
        look_inside(read_engine_file(path))

    assert error.value.message == f"{path} is not as long as its header promises"
    assert error.value.fix
