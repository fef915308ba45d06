"""Activations of a model while it runs: every tensor asked for comes out as well."""

import ctypes
import sys
from collections.abc import Iterable, Mapping, Sequence
from threading import local
from types import MappingProxyType

import numpy as np
import onnx
from numpy.typing import NDArray

from polyyolo.errors import ModelError
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import load
from polyyolo.records import ModelSpec

M_ARENA_MAX = -8
"""Of glibc's malloc.h."""


class _Memory(local):
    """Where one thread's activations go, the shape of the batch that they are for, and those that come in any shape."""

    arrays: Mapping[str, NDArray[np.floating]] = MappingProxyType({})
    shape: tuple[int, ...] = ()
    varying: frozenset[str] = frozenset()


class Watched:
    """A model whose activations come out as well, always into the same memory, a thread its own.

    ONNX Runtime would allocate 100 MB anew for each picture, and touching fresh memory costs as much as the inference.
    It does so for tensors whose shape depends on the picture, as behind NonMaxSuppression; which these are, runs tell.
    """

    def __init__(self, spec: ModelSpec, tensors: Sequence[str], *, at_once: int = 1) -> None:
        """Open the model; ``at_once`` is how many threads will call ``run``."""
        if at_once > 1:
            _share_heap()
        model = load(spec.path)
        present = {output.name for output in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in present)
        self._image = spec.image
        self._tensors = list(tensors)
        self._session = open_session(model.SerializeToString(), callers=at_once)
        self._own = _Memory()

    def run(self, batch: NDArray[np.generic], number: int) -> Mapping[str, NDArray[np.floating]]:
        """Run one batch.

        Returns:
            tensor name -> its values, overwritten by the next run in the same thread.

        Raises:
            ModelError: ONNX Runtime refuses the batch or fails in the model.
        """
        if not self._tensors:
            return {}
        try:
            self._own.arrays = self._again(batch) if batch.shape == self._own.shape else self._anew(batch)
        except Exception as error:  # ONNX Runtime's errors have no common ancestor of their own
            raise ModelError(
                f"ONNX Runtime cannot run the model on batch {number} of shape {batch.shape}: {error}",
                fix="look at the model with: polyyolo inspect model",
            ) from error
        return self._own.arrays

    def _anew(self, batch: NDArray[np.generic]) -> Mapping[str, NDArray[np.floating]]:
        found = self._session.run(self._tensors, {self._image: batch})
        self._own.shape = batch.shape
        return dict(zip(self._tensors, found, strict=True))

    def _again(self, batch: NDArray[np.generic]) -> Mapping[str, NDArray[np.floating]]:
        try:
            return self._refilled(batch)
        except RuntimeError:  # a tensor has not the shape of its memory; what else is wrong is wrong anew
            before, found = self._own.arrays, self._anew(batch)
            self._own.varying |= {name for name, array in found.items() if array.shape != before[name].shape}
            return found

    def _refilled(self, batch: NDArray[np.generic]) -> Mapping[str, NDArray[np.floating]]:
        own, binding = self._own, self._session.io_binding()
        binding.bind_cpu_input(self._image, batch)
        for name, array in own.arrays.items():
            if name in own.varying:
                binding.bind_output(name, "cpu")
            else:
                binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)
        made = zip(own.arrays.items(), binding.get_outputs(), strict=True)
        return {name: value.numpy() if name in own.varying else array for (name, array), value in made}


def _share_heap() -> None:
    """Let all threads take memory from one heap: of heaps of their own, as glibc has it, each keeps what it got.

    It is 60 MB less for two pictures of YOLOv5s at a time, and as fast.
    """
    if sys.platform == "linux" and hasattr(allocator := ctypes.CDLL(None), "mallopt"):
        allocator.mallopt(M_ARENA_MAX, 1)


def pieces(spec: ModelSpec, batch: NDArray[np.generic]) -> Iterable[NDArray[np.generic]]:
    """Cut a batch into single pictures where the model allows it: memory then does not grow with the batch."""
    if isinstance(spec.image_input.dims[0], int):
        return [batch]
    return [batch[index : index + 1] for index in range(len(batch))]
