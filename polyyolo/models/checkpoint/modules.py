"""The tree of modules in a checkpoint, with an error that names the place wherever it is not as it should be."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from polyyolo.errors import ModelError
from polyyolo.models.checkpoint.objects import Built, brief
from polyyolo.models.checkpoint.tensors import Array, Tensors, is_tensor

_TASKS = {
    "SegmentationModel": "a segmentation model",
    "PoseModel": "a pose model",
    "ClassificationModel": "a classification model",
    "OBBModel": "a model of rotated boxes",
    "RTDETRDetectionModel": "an RT-DETR model",
    "WorldModel": "a YOLO-World model",
    "YOLOEModel": "a YOLOE model",
    "YOLOESegModel": "a YOLOE model",
}

MAX_DEPTH = 32
"""Modules inside modules; v11 has 9."""

MAX_CHILDREN = 1_000
"""Modules side by side; YOLOv5x6 has 34."""

_WORD = re.compile(r"[A-Za-z0-9_]{1,64}")


@frozen
class Module:
    """One module of the tree.

    Attributes:
        path: as in "model.2.cv1.conv", the name of its weights without "weight"; empty for the whole model.
        kind: its class with the module path, as in "models.common.Conv".
        state: its attributes.
        tensors: what reads its weights.
    """

    path: str
    kind: str
    state: Mapping[object, Any] = field(repr=False)
    tensors: Tensors = field(repr=False)

    @property
    def type(self) -> str:
        """The class alone, as in "Conv"."""
        return self.kind.rpartition(".")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its children, in order.

        Raises:
            ModelError: there are absurdly many, or one is no plain word.
        """
        group = self._group("_modules")
        if len(group) > MAX_CHILDREN or not all(isinstance(name, str) and _WORD.fullmatch(name) for name in group):
            raise self.unusable(f"its {len(group)} children are not named as torch does it")
        return tuple(str(name) for name, child in group.items() if child is not None)

    def has(self, name: str) -> bool:
        """Tell whether it has a child, parameter or buffer of that name that is not None."""
        return any(self._group(group).get(name) is not None for group in ("_modules", "_parameters", "_buffers"))

    def child(self, name: str) -> "Module":
        """Give one child.

        Raises:
            ModelError: there is none of that name, or the tree is nested without end.
        """
        path = f"{self.path}.{name}" if self.path else name
        return module(self._group("_modules").get(name), path, self.tensors)

    def children(self) -> tuple["Module", ...]:
        """Give all children, in order."""
        return tuple(self.child(name) for name in self.names)

    def array(self, name: str) -> Array:
        """Read a parameter, a buffer or an attribute that is a tensor.

        Raises:
            ModelError: there is none, or it cannot be read.
        """
        groups = (self._group("_parameters"), self._group("_buffers"), self.state)
        value = next((group[name] for group in groups if group.get(name) is not None), None)
        return self.tensors.array(value, f"{self.path}.{name}")

    def number(self, name: str, default: float | None = None) -> float:
        """Read a numeric attribute.

        Raises:
            ModelError: it is missing without a default, or no finite number.
        """
        value = self.state.get(name, default)
        if type(value) not in (int, float) or not abs(value) < 1 << 31:
            raise self.unusable(f"{name} is {brief(value)}, not a number")
        return float(value)

    def integer(self, name: str, default: int | None = None) -> int:
        """Read a whole number.

        Raises:
            ModelError: as ``number``, or it has a fraction.
        """
        value = self.number(name, default)
        if value != int(value):
            raise self.unusable(f"{name} is {value}, not a whole number")
        return int(value)

    def flag(self, name: str) -> bool:
        """Read a boolean attribute; a missing one is false."""
        return self.state.get(name) is True

    def pair(self, name: str) -> tuple[int, int]:
        """Read an attribute that torch takes as one number or as (height, width).

        Raises:
            ModelError: it is neither.
        """
        value = self.state.get(name)
        both = value if isinstance(value, tuple) else (value, value)
        if len(both) != 2 or not all(type(side) is int and 0 <= side < 1 << 31 for side in both):
            raise self.unusable(f"{name} is {brief(value)}, not one or two whole numbers")
        return both

    def unusable(self, why: str) -> ModelError:
        """Make the error that names this module."""
        return ModelError(
            f"{self.tensors.archive.path}: module {self.path} ({self.kind}) cannot be converted: {why}",
            fix=official(self.tensors.archive.path),
        )

    def _group(self, name: str) -> Mapping[object, Any]:
        group = self.state.get(name)
        return group if isinstance(group, dict) else {}


def official(path: Path) -> str:
    """Say how the program that wrote most checkpoints exports them."""
    return (
        f"export it with the official program: pip install ultralytics, then yolo export model={path} format=onnx "
        "(YOLOv5's own repository: python export.py --include onnx), and give the ONNX"
    )


def module(value: object, path: str, tensors: Tensors) -> Module:
    """Look at a value as a module.

    Raises:
        ModelError: it is none, or lies deeper than ``MAX_DEPTH``.
    """
    where = tensors.archive.path
    if not isinstance(value, Built) or not isinstance(value.state, dict):
        raise ModelError(f"{where}: {path} should be a module, but is {brief(value)}", fix=official(where))
    if path.count(".") > MAX_DEPTH:
        raise ModelError(f"{where}: {path} is nested deeper than {MAX_DEPTH} modules", fix=official(where))
    return Module(path, value.kind, value.state, tensors)


def detector(checkpoint: object, tensors: Tensors) -> Module:
    """Find the detection model in what a checkpoint holds: under ``ema`` where there is one, else ``model``.

    The moving average of the weights is what the trainer itself validates and exports.

    Raises:
        ModelError: only weights without modules, another task, or no model at all.
    """
    path = tensors.archive.path
    content = checkpoint if isinstance(checkpoint, dict) else {"model": checkpoint}
    found = next((content[key] for key in ("ema", "model") if isinstance(content.get(key), Built)), None)
    if found is None:
        raise _no_model(path, content)
    top = module(found, "", tensors)
    if top.type in _TASKS:
        raise ModelError(f"{path} is {_TASKS[top.type]} ({top.kind}), not a detector", fix=official(path))
    if not top.has("model"):
        raise ModelError(f"{path} holds a {top.kind}, which is no YOLO model as YOLOv5 makes them", fix=official(path))
    return top


def _no_model(path: Path, content: Mapping[Any, Any]) -> ModelError:
    inner = next(
        (content[key] for key in ("state_dict", "model", "ema") if isinstance(content.get(key), dict)), content
    )
    if any(is_tensor(value) for value in inner.values()):
        return ModelError(
            f"{path} holds weights alone (a state_dict), not the modules that say how they are used",
            fix="give the checkpoint that training wrote (best.pt), or export it to ONNX where its code is",
        )
    keys = ", ".join(brief(key) for key in list(content)[:8]) or "nothing"
    return ModelError(f"{path} holds no model: it has {keys}", fix="give a YOLO detection checkpoint such as best.pt")
