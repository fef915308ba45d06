"""Inference on the CPU, through Polygraphy's ONNX Runtime runner."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from polygraphy.backend.onnxrt import OnnxrtRunner
from polygraphy.datatype import DataType
from polygraphy.logger import G_LOGGER

from polyyolo.errors import ModelError
from polyyolo.models.runtime import open_session
from polyyolo.verification.boxes import Array


class Session:
    """A loaded model, ready inside a ``with`` block.

    Args:
        path: the .onnx file.
        threads: for each operator; 0 takes all cores.

    Raises:
        ModelError: ONNX Runtime cannot load the model.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self.path = path
        loaded = open_session(path, threads=threads)
        self._runner = OnnxrtRunner(loaded)
        self._dtypes = {node.name: _numpy_dtype(node.type) for node in loaded.get_inputs()}

    def __enter__(self) -> "Session":  # noqa: PYI034 - typing.Self came with Python 3.11
        with quiet():
            self._runner.activate()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with quiet():
            self._runner.deactivate()

    def infer(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            feed: input name -> array; floats are cast to the precision that the model wants.

        Returns:
            Output name -> array, valid until you drop it.

        Raises:
            ModelError: ONNX Runtime refuses the arrays or fails in the model.
        """
        arrays = {name: np.asarray(array, self._dtypes.get(name)) for name, array in feed.items()}
        try:
            with quiet():
                return dict(self._runner.infer(arrays, check_inputs=False))
        except Exception as error:  # ONNX Runtime's errors have no common ancestor of their own
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ModelError(
                f"ONNX Runtime cannot run {self.path} on {shapes}: {error}",
                fix="give pictures of the model's input shape",
            ) from error


def _numpy_dtype(kind: str) -> Any:  # noqa: ANN401 - numpy has no name for all that names a dtype
    """Turn ONNX Runtime's "tensor(float16)" into numpy's dtype."""
    return DataType.to_dtype(DataType.from_dtype(kind, "onnxruntime"), "numpy")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Polygraphy from printing: the library is silent."""
    with G_LOGGER.verbosity(G_LOGGER.CRITICAL):
        yield
