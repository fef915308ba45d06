"""Inference on the GPU, through Polygraphy's TensorRT runner."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
import polygraphy.config

from polyyolo import progress
from polyyolo.engines.bindings import load
from polyyolo.engines.engine_file import EngineFile, read_engine_file
from polyyolo.engines.gpu import first_gpu
from polyyolo.engines.inside import look_inside
from polyyolo.errors import ModelError, ToolchainError
from polyyolo.records import ModelSpec, ToolchainKind
from polyyolo.verification.boxes import Array
from polyyolo.verification.session import quiet

ONNX = b"\x08"


def engine_of(path: Path) -> EngineFile | None:
    """Read what an engine file is; None for a file that does not begin as engines do.

    Raises:
        InputError: it begins so, and is cut short or damaged.
    """
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        start = stream.read(5)
    is_engine = start[1:4] == b"trt" or (start[4:] == b"{" and not start.startswith(ONNX))
    return read_engine_file(path) if is_engine else None


class EngineSession:
    """A loaded engine, ready inside a ``with`` block.

    Args:
        spec: what is known of the engine's ONNX; its path is the engine's.
        engine: the file.

    Attributes:
        batch: pictures that the engine takes at once: its first profile's opt.

    Raises:
        ToolchainError: this machine has no GPU.
    """

    def __init__(self, spec: ModelSpec, engine: EngineFile) -> None:
        self.batch = 1
        self._spec = spec
        self._file = engine
        refuse_without_gpu(engine)

    def __enter__(self) -> "EngineSession":  # noqa: PYI034 - typing.Self came with Python 3.11
        """Load the engine; this may take seconds.

        Raises:
            ToolchainError: this machine has not the TensorRT that the engine needs, another GPU, or too little memory.
            InputError: the engine is damaged.
            ModelError: it was not built from the ONNX that ``spec`` tells of.
        """
        self._engine = load(self._file)
        self._refuse_other()
        self.batch = int(self._profile()[1][0])
        self._runner = _backend(self._file.kind).TrtRunner(self._engine)
        try:
            with quiet():
                self._runner.activate()
        except Exception as error:
            raise ToolchainError(
                f"TensorRT cannot run {self._file.path}: {error}",
                fix="free memory of the GPU, or lower max in the profile that the engine is built with",
            ) from error
        self._dtypes = {name: meta.dtype for name, meta in self._runner.get_input_metadata().items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with quiet():
            self._runner.deactivate()

    def infer(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Run the engine once.

        Args:
            feed: input name -> array; floats are cast to the precision that the engine wants.

        Returns:
            Output name -> array of its own: the runner's buffers are written to again by the next call.

        Raises:
            ModelError: TensorRT refuses the arrays or fails in the engine.
        """
        arrays = {name: np.ascontiguousarray(array, _numpy(self._dtypes[name])) for name, array in feed.items()}
        try:
            with quiet():
                found = self._runner.infer(arrays, check_inputs=False)
        except Exception as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            low, _, high = self._profile()
            raise ModelError(
                f"TensorRT cannot run {self._file.path} on {shapes}: {error}",
                fix=f"give pictures of a size that the engine was built for, {low} to {high}, with --size",
            ) from error
        return {name: np.array(array) for name, array in found.items()}

    def _profile(self) -> list[tuple[int, ...]]:
        """Smallest, usual and largest shape of the pictures."""
        return [tuple(shape) for shape in self._engine.get_tensor_profile_shape(self._spec.image, 0)]

    def _refuse_other(self) -> None:
        """Refuse an ONNX that the engine was not built from: its head would read boxes where there are none."""
        there = {self._engine.get_tensor_name(place) for place in range(self._engine.num_io_tensors)}
        wanted = {self._spec.image, *self._spec.head.outputs}
        if not wanted <= there:
            raise ModelError(
                f"{self._file.path} takes and gives {', '.join(sorted(there))}; its ONNX has "
                f"{', '.join(sorted(wanted - there))} too",
                fix="name the ONNX that the engine was built from with --model",
            )


def size_taken(spec: ModelSpec, engine: EngineFile, usual: tuple[int, int]) -> tuple[int, int]:
    """Choose the size of pictures for an engine whose ONNX leaves it open; the engine is loaded for that.

    Args:
        spec: what is known of its ONNX.
        engine: the file.
        usual: (height, width) in pixels that the ONNX is given where nobody tells another.

    Returns:
        ``usual`` where the engine's first profile holds it, else what that profile is best at (opt), with a warning.

    Raises:
        ToolchainError: this machine has no GPU, or not the TensorRT that the engine needs.
        InputError: the engine is damaged.
    """
    refuse_without_gpu(engine)
    bounds = look_inside(engine).profiles[0].get(spec.image)
    if bounds is None:  # it is another model's, which is told when it is to run
        return usual
    low, opt, high = (shape[2:] for shape in (bounds.min, bounds.opt, bounds.max))
    if all(least <= size <= most for least, size, most in zip(low, usual, high, strict=True)):
        return usual
    height, width = opt
    progress.warn(
        f"{engine.path} does not take {usual[0]}x{usual[1]}: pictures become {height}x{width}, its profile's opt",
        "name another size that it takes with --size",
    )
    return height, width


def refuse_without_gpu(engine: EngineFile) -> None:
    """Say before anything else is done that engines need a GPU.

    Raises:
        ToolchainError: there is none.
    """
    gpu = first_gpu()
    if not gpu.name:
        raise ToolchainError(
            f"{engine.path} is an engine, built by {engine.product}, and engines run on a GPU: {gpu.missing}",
            fix="use it on the machine that has the GPU, or use here the ONNX that it was built from",
        )


def _backend(kind: ToolchainKind) -> ModuleType:
    """Import Polygraphy's TensorRT backend; it binds to one of the two TensorRTs when it is first imported.

    Raises:
        ToolchainError: this process has bound it to the other one.
    """
    wants_rtx = kind is ToolchainKind.RTX
    if "polygraphy.backend.trt" in sys.modules and wants_rtx is not polygraphy.config.USE_TENSORRT_RTX:
        raise ToolchainError(
            "one process runs engines of TensorRT or of TensorRT for RTX, and this one has run the others",
            fix="use one after the other, in processes of their own",
        )
    polygraphy.config.USE_TENSORRT_RTX = wants_rtx  # as POLYGRAPHY_USE_TENSORRT_RTX=1 does, which is read too early
    import polygraphy.backend.trt as backend

    return backend  # type: ignore[no-any-return]


def _numpy(dtype: Any) -> Any:  # noqa: ANN401 - Polygraphy's type, or numpy's before 0.49.1
    from polygraphy.datatype import DataType

    return DataType.to_dtype(DataType.from_dtype(dtype), "numpy")
