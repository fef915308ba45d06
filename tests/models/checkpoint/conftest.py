"""Checkpoints made by hand: the bytes that torch.save would write, without torch."""

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import define, field, frozen


@frozen
class Global:
    """A class or function by name."""

    module: str
    name: str


@frozen(eq=False)
class Call:
    """REDUCE of ``what`` with ``args``, then BUILD with ``state`` where there is one."""

    what: Global
    args: tuple[Any, ...] = ()
    state: Any = None


@frozen(eq=False)
class Persistent:
    """A persistent id, whatever it holds."""

    id: Any


@define(eq=False)
class Forge:
    """Writes checkpoints; mutable, as it numbers the storages."""

    storages: dict[str, bytes] = field(factory=dict)
    half: bool = False
    rng: np.random.Generator = field(factory=lambda: np.random.default_rng(0))

    def tensor(self, values: Any, *, half: bool | None = None) -> Call:
        array = np.ascontiguousarray(values, np.float16 if (self.half if half is None else half) else np.float32)
        key = str(len(self.storages))
        self.storages[key] = array.tobytes()
        kind = "HalfStorage" if array.dtype == np.float16 else "FloatStorage"
        place = Persistent(("storage", Global("torch", kind), key, "cpu", array.size))
        strides = tuple(stride // array.itemsize for stride in array.strides)
        hooks = Call(Global("collections", "OrderedDict"))
        return Call(Global("torch._utils", "_rebuild_tensor_v2"), (place, 0, array.shape, strides, False, hooks))

    def module(self, kind: str, children: Mapping[str, Any] | None = None, **attributes: Any) -> Call:
        """Make a module; arrays among its attributes become parameters."""
        module, _, name = kind.rpartition(".")
        arrays = {key: self.tensor(value) for key, value in attributes.items() if isinstance(value, np.ndarray)}
        rest = {key: value for key, value in attributes.items() if key not in arrays}
        state = {"training": False, "_parameters": arrays, "_buffers": {}, "_modules": dict(children or {}), **rest}
        return Call(Global(module, name), (), state)

    def conv2d(self, weight: np.ndarray, bias: np.ndarray | None = None, **options: Any) -> Call:
        window = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, "padding_mode": "zeros"}
        arrays = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return self.module("torch.nn.modules.conv.Conv2d", **(window | options), **arrays)

    def norm(self, mean: Any, var: Any, gain: Any, offset: Any) -> Call:
        norm = self.module("torch.nn.modules.batchnorm.BatchNorm2d", eps=1e-3, weight=gain, bias=offset)
        norm.state["_buffers"] = {"running_mean": self.tensor(mean), "running_var": self.tensor(var)}
        return norm

    def random_norm(self, channels: int) -> tuple[Call, tuple[np.ndarray, ...]]:
        rng = self.rng
        terms = tuple(
            vector.astype(np.float32)
            for vector in (rng.normal(size=channels), *rng.uniform(0.5, 2, (2, channels)), rng.normal(size=channels))
        )
        return self.norm(*terms), terms

    def conv(self, shape: tuple[int, int, int, int], act: Call | None = None, **window: Any) -> Call:
        """Make a ``Conv`` block of random weights (O, I, H, W)."""
        weight = self.rng.normal(size=shape).astype(np.float32) / np.float32(np.prod(shape[1:])) ** 0.5
        norm, _ = self.random_norm(shape[0])
        children = {"conv": self.conv2d(weight, **window), "bn": norm, "act": act or self.silu()}
        return self.module("models.common.Conv", children)

    def silu(self) -> Call:
        return self.module("torch.nn.modules.activation.SiLU", inplace=True)

    def down(self, channels: int, out: int) -> Call:
        return self.conv((out, channels, 3, 3), stride=(2, 2), padding=(1, 1))

    def sequence(self, *modules: Call, kind: str = "Sequential") -> Call:
        children = {str(index): module for index, module in enumerate(modules)}
        return self.module(f"torch.nn.modules.container.{kind}", children)

    def detect_v5(self, channels: int, classes: int, stride: int) -> Call:
        """Make a ``Detect`` of one map and two anchors, (10, 13) and (16, 30) pixels."""
        out = 2 * (5 + classes)
        weight = self.rng.normal(size=(out, channels, 1, 1)).astype(np.float32)
        conv = self.conv2d(weight, self.rng.normal(size=out).astype(np.float32))
        head = self.module("models.yolo.Detect", {"m": self.sequence(conv, kind="ModuleList")}, nc=classes, na=2, nl=1)
        head.state["_buffers"]["anchors"] = self.tensor(np.array([[[10, 13], [16, 30]]]) / stride)
        head.state["stride"] = self.tensor([stride], half=False)
        return head

    def model(
        self, layers: list[Call], *, names: Any = ("cat", "dog"), sources: Mapping[int, Any] | None = None
    ) -> Call:
        """Chain layers; ``sources`` says where a layer takes its inputs from, else from the one before."""
        for index, layer in enumerate(layers):
            layer.state.update(i=index, f=(sources or {}).get(index, -1))
        top = self.module("models.yolo.Model", {"model": self.sequence(*layers)}, yaml={"ch": 3}, stride=None)
        top.state["names"] = list(names) if isinstance(names, tuple) else names
        return top

    def tiny(self) -> Call:
        """Make a detector of three convolutions, stride 8, two classes."""
        return self.model([self.down(3, 4), self.down(4, 4), self.down(4, 8), self.detect_v5(8, 2, 8)])

    def save(self, path: Path, checkpoint: Any, *, data: bytes | None = None, **entries: bytes) -> Path:
        """Write what torch.save would; ``data`` replaces the pickle, ``entries`` add files."""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled(checkpoint) if data is None else data)
            for key, storage in self.storages.items():
                archive.writestr(f"archive/data/{key}", storage)
            for name, content in (("version", b"3\n"), *entries.items()):
                archive.writestr(f"archive/{name}", content)
        return path


def pickled(value: Any) -> bytes:
    """Write a pickle of protocol 2, without a memo."""
    out = io.BytesIO()
    out.write(b"\x80\x02")
    _emit(out, value)
    out.write(b".")
    return out.getvalue()


def _emit(out: io.BytesIO, value: Any) -> None:
    match value:
        case Global(module, name):
            out.write(f"c{module}\n{name}\n".encode())
        case Persistent(id):
            _emit_all(out, (id,), b"Q")
        case Call(what, args, state):
            _emit_all(out, (what, args), b"R")
            _emit_all(out, () if state is None else (state,), b"" if state is None else b"b")
        case dict():
            out.write(b"}(")
            _emit_all(out, [part for item in value.items() for part in item], b"u")
        case list() | tuple():
            out.write(b"(" if isinstance(value, tuple) else b"](")
            _emit_all(out, value, b"t" if isinstance(value, tuple) else b"e")
        case _:
            out.write(_scalar(value))


def _scalar(value: Any) -> bytes:
    match value:
        case None | True | False:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case int():
            return b"J" + struct.pack("<i", value)
        case float():
            return b"G" + struct.pack(">d", value)
    text = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(text)) + text


def _emit_all(out: io.BytesIO, values: Any, end: bytes) -> None:
    for value in values:
        _emit(out, value)
    out.write(end)


@pytest.fixture
def forge() -> Forge:
    return Forge()


@pytest.fixture(scope="session")
def call() -> type[Call]:
    return Call


@pytest.fixture(scope="session")
def named() -> type[Global]:
    return Global


@pytest.fixture(scope="session")
def persistent() -> type[Persistent]:
    return Persistent
