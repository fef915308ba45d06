"""What an engine takes and gives, and how much memory it needs: TensorRT and a GPU have to load it for that."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from polyyolo.engines.bindings import load
from polyyolo.engines.engine_file import EngineFile
from polyyolo.engines.gpu import first_gpu
from polyyolo.records import ShapeRange, TensorSpec


@frozen
class Inside:
    """A loaded engine.

    Attributes:
        inputs: their open axes are named by number, as "axis0".
        profiles: for each optimisation profile, input name -> what it takes.
        memory_bytes: on the GPU for activations while it runs, of the profile that needs the most; weights apart.
        layers: how many TensorRT made of the model.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    profiles: tuple[Mapping[str, ShapeRange], ...]
    memory_bytes: int
    layers: int
    gpu: str


def look_inside(engine: EngineFile) -> Inside:
    """Load an engine and ask it.

    Raises:
        ToolchainError: there is no GPU, no TensorRT, or the engine is for another version or GPU.
        InputError: the engine is damaged.
    """
    return describe(load(engine))


def describe(loaded: Any) -> Inside:  # noqa: ANN401 - TensorRT's bindings have no types
    """Ask an ICudaEngine of TensorRT 8.5 or later, or of TensorRT for RTX."""
    names = [loaded.get_tensor_name(index) for index in range(loaded.num_io_tensors)]
    inputs = tuple(name for name in names if _is_input(loaded, name))
    return Inside(
        inputs=tuple(_tensor(loaded, name) for name in inputs),
        outputs=tuple(_tensor(loaded, name) for name in names if name not in inputs),
        profiles=tuple(
            {name: _range(loaded, name, index) for name in inputs} for index in range(loaded.num_optimization_profiles)
        ),
        memory_bytes=_memory(loaded),
        layers=loaded.num_layers,
        gpu=first_gpu().name,
    )


def _is_input(loaded: Any, name: str) -> bool:  # noqa: ANN401 - as above
    return bool(loaded.get_tensor_mode(name).name == "INPUT")


def _tensor(loaded: Any, name: str) -> TensorSpec:  # noqa: ANN401 - as above
    shape = tuple(loaded.get_tensor_shape(name))
    dims = tuple(size if size >= 0 else f"axis{axis}" for axis, size in enumerate(shape))
    return TensorSpec(name, loaded.get_tensor_dtype(name).name.lower(), dims)


def _range(loaded: Any, name: str, profile: int) -> ShapeRange:  # noqa: ANN401 - as above
    return ShapeRange(*(tuple(shape) for shape in loaded.get_tensor_profile_shape(name, profile)))


def _memory(loaded: Any) -> int:  # noqa: ANN401 - as above
    """Read the larger of the two names that this figure has had: TensorRT 10.1 renamed it, 11.0 dropped the old one."""
    return int(getattr(loaded, "device_memory_size_v2", 0) or loaded.device_memory_size)
