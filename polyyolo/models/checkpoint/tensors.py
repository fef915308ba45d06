"""Tensors as the checkpoint describes them, read into numpy one at a time and never beyond what the file holds."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import define, field

from polyyolo.errors import ModelError
from polyyolo.models.checkpoint.allowed import STORAGES
from polyyolo.models.checkpoint.archive import Archive, damaged
from polyyolo.models.checkpoint.objects import Built, Name, Storage, brief

Array = npt.NDArray[np.float32]

_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETER = "torch._utils._rebuild_parameter"


def is_tensor(value: object) -> bool:
    """Tell whether ``value`` stands for a tensor or a parameter."""
    return isinstance(value, Built) and value.kind in (*_TENSORS, _PARAMETER)


@define(eq=False)
class Tensors:
    """Reads tensors out of one archive; mutable, as it counts what it has read.

    A file that names one storage a million times would otherwise fill the memory; a detector needs each of its
    numbers once.
    """

    archive: Archive
    _read: int = field(default=0, init=False)

    def array(self, value: object, name: str) -> Array:
        """Read a tensor as float32, whatever it is stored as.

        Args:
            value: as ``unpickle`` left it.
            name: for the error, as "model.0.conv.weight".

        Raises:
            ModelError: it is no tensor, lies outside its storage, or its storage is missing or of another size.
        """
        inner = value.args[0] if isinstance(value, Built) and value.kind == _PARAMETER and value.args else value
        if not isinstance(inner, Built) or inner.kind not in _TENSORS or len(inner.args) < 4:
            raise self._damaged(name, "it is no dense tensor")
        storage, offset, shape, strides = inner.args[:4]
        numbers = self._numbers(storage, name)
        dims, steps = self._whole(_sizes(shape), name), self._whole(strides, name)
        (start,) = self._whole((offset,), name)
        count = math.prod(dims)
        reach = start + sum((dim - 1) * step for dim, step in zip(dims, steps, strict=False)) + 1
        if len(dims) != len(steps) or count > numbers.size or (count and reach > numbers.size):
            raise self._damaged(name, f"shape {dims} from {start} on does not fit its storage of {numbers.size}")
        view = np.lib.stride_tricks.as_strided(
            numbers[start:], dims, [step * numbers.itemsize for step in steps], writeable=False
        )
        return np.ascontiguousarray(view, dtype=np.float32)

    def _whole(self, values: object, name: str) -> tuple[int, ...]:
        if (
            not isinstance(values, tuple)
            or len(values) > 8
            or not all(type(value) is int and 0 <= value < 1 << 31 for value in values)
        ):
            raise self._damaged(name, f"{brief(values)} gives no sizes")
        return values

    def _numbers(self, storage: object, name: str) -> npt.NDArray[Any]:
        match storage:
            case Storage(("storage", Name(path), str(key), str(), int(count))) if path in STORAGES and count >= 0:
                code = STORAGES[path]
            case _:
                raise self._damaged(name, "its storage is not described as torch does it")
        width = 2 if code == "bfloat16" else np.dtype(code).itemsize
        data = self.archive.read(f"data/{key}", self.archive.size)
        self._read += len(data)
        if len(data) != count * width:
            raise self._damaged(name, f"its storage has {len(data)} bytes where {count * width} belong")
        if self._read > 2 * self.archive.size:
            raise self._damaged(name, "its tensors add up to more than twice the file")
        if code == "bfloat16":  # numpy has no such type: it is the upper half of a float32
            halves = np.frombuffer(data, self.archive.order() + "u2")
            return (halves.astype(np.uint32) << 16).view(np.float32)
        return np.frombuffer(data, self.archive.order() + code)

    def _damaged(self, name: str, what: str) -> ModelError:
        return damaged(self.archive.path, f"{name}: {what}")


def _sizes(shape: object) -> object:
    """Take the tuple out of a torch.Size."""
    return shape.args[0] if isinstance(shape, Built) and shape.kind == "torch.Size" and shape.args else shape
