"""trtexec as one of Polygraphy's runners, for ``polygraphy run --yolo-trtexec``."""

import signal
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from polygraphy.backend.base import BaseRunner
from polygraphy.common import TensorMetadata

from polyyolo import progress
from polyyolo.errors import InputError
from polyyolo.models.spec import read_spec
from polyyolo.plugin.trtexec_engine import Build, bare_plan, engine_from, toolchain_here
from polyyolo.plugin.trtexec_inference import Session
from polyyolo.records import TensorSpec
from polyyolo.stopping import Stopped, stoppable
from polyyolo.telling import PolygraphyLog, told
from polyyolo.verification.boxes import Array

__all__ = ["Build", "TrtexecRunner"]


class TrtexecRunner(BaseRunner):  # type: ignore[misc]  # Polygraphy is untyped
    """Build an engine with trtexec, or load one, and start trtexec once an inference.

    Mutable between ``activate`` and ``deactivate``, as Polygraphy's runners are.
    """

    def __init__(
        self,
        model: str,
        build: Build | None = None,
        *,
        onnx: str | None = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """Remember what to run; nothing is built before ``activate``.

        Args:
            model: an ONNX, or an engine.
            build: how an ONNX is built.
            onnx: tells an engine's inputs.
            input_shapes: tells them where there is no ONNX; they are taken for float32.
        """
        super().__init__(prefix="yolo-trtexec")
        self._model = Path(model)
        self._build = build or Build()
        self._onnx = Path(onnx) if onnx else None
        self._input_shapes = input_shapes or {}

    def activate_impl(self) -> None:
        """Find trtexec, and build the engine where an ONNX was given."""
        self._scratch = TemporaryDirectory(prefix="polyyolo-")
        with self._cleaned_up(), progress.listening(PolygraphyLog()):
            toolchain = toolchain_here()
            self._inputs = self._told_inputs()
            folder = Path(self._scratch.name)
            if self._model.suffix == ".onnx":
                engine = engine_from(self._model, self._build, toolchain, folder)
            else:
                engine = bare_plan(self._model, folder)
            self._session = Session(toolchain, engine.absolute(), folder)
            if not self._session.exact:
                progress.warn(
                    f"trtexec {toolchain.tensorrt} gives outputs with six digits: where two classes of a box have "
                    "scores near 1, either may win",
                    "use trtexec 8.6 or newer, or want less with --yolo-min-agreement",
                )

    def get_input_metadata_impl(self) -> TensorMetadata:
        """Tell names, types and shapes of the inputs."""
        metadata = TensorMetadata()
        for tensor in self._inputs:
            shape = [dim if isinstance(dim, int) else -1 for dim in tensor.dims]
            metadata.add(tensor.name, np.dtype(tensor.dtype), shape)
        return metadata

    def infer_impl(self, feed_dict: Mapping[str, Array]) -> "OrderedDict[str, Array]":
        """Run trtexec once; ``inference_time`` is the latency that it measured, in seconds."""
        with self._cleaned_up():
            inferred = self._session.infer(feed_dict)
        self.inference_time = inferred.latency_ms / 1000
        return OrderedDict(inferred.outputs)

    def deactivate_impl(self) -> None:
        """Remove what went in and out."""
        self._scratch.cleanup()
        del self._inputs, self._scratch, self._session

    @contextmanager
    def _cleaned_up(self) -> Iterator[None]:
        """Turn errors into Polygraphy's; a signal that asks to end ends trtexec, too, and leaves nothing.

        trtexec has a group of its own: nobody else would end it.
        """
        try:
            with told(), stoppable():
                yield
        except Stopped as stopped:
            self._scratch.cleanup()
            signal.raise_signal(stopped.number)

    def _told_inputs(self) -> tuple[TensorSpec, ...]:
        onnx = self._onnx or (self._model if self._model.suffix == ".onnx" else None)
        if onnx:
            return read_spec(onnx).inputs
        if not self._input_shapes:
            raise InputError(
                f"trtexec does not tell the inputs of {self._model}",
                fix="name its ONNX with --yolo-model, or its inputs: --input-shapes images:[1,3,640,640]",
            )
        return tuple(TensorSpec(name, "float32", tuple(shape)) for name, shape in self._input_shapes.items())
