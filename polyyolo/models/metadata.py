"""What exporters leave in a model's metadata, read without trusting it.

Keys: ``names`` (class names: a JSON or Python dict or list), ``stride`` (the largest), ``strides`` (JSON list, one a
head output), ``anchors`` (JSON list of one list of [width, height] in pixels a head output), ``scale_xy`` (JSON list),
``head`` (a ``HeadKind``) and ``kpt_shape`` (list: keypoints, numbers of each). Ultralytics writes the first two and the
last as Python text; polyyolo's own readers write all but the last. ``joined`` (JSON dict) is polyyolo's alone: names of
convolutions that are one with others now -> the name of that one.
"""

import ast
import json
import math
from collections.abc import Mapping
from typing import Any

import onnx

from polyyolo.records import Head, HeadKind

LONGEST = 1 << 20

Anchors = tuple[tuple[tuple[float, float], ...], ...]


def metadata_of(model: onnx.ModelProto) -> dict[str, str]:
    """Give the metadata as a dict; of a key that is there twice, the last."""
    return {entry.key: entry.value for entry in model.metadata_props}


def names_in(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Class names by index; empty where there are none that can be read."""
    value = _literal(metadata.get("names", ""))
    if isinstance(value, dict):
        return _by_index(value)
    return tuple(str(name) for name in value) if isinstance(value, list | tuple) else ()


def strides_in(metadata: Mapping[str, str]) -> tuple[int, ...]:
    """Pixels a cell, one a head output; empty where the model does not tell."""
    value = _literal(metadata.get("strides", ""))
    if not isinstance(value, list | tuple) or not all(isinstance(stride, int | float) for stride in value):
        return ()
    try:
        strides = tuple(int(stride) for stride in value)
    except (OverflowError, ValueError):  # infinity and NaN, which JSON may hold
        return ()
    return strides if all(stride > 0 for stride in strides) else ()


def largest_stride_in(metadata: Mapping[str, str]) -> int:
    """Give the stride that height and width must be multiples of; 0 where the model does not tell."""
    value = _literal(metadata.get("stride", ""))
    return value if isinstance(value, int) and value > 0 else max(strides_in(metadata), default=0)


def anchors_in(metadata: Mapping[str, str]) -> Anchors:
    """Width and height in pixels of each anchor, one tuple a head output; empty where there are none."""
    try:
        levels = _literal(metadata.get("anchors", ""))
        return tuple(tuple((float(width), float(height)) for width, height in level) for level in levels)
    except (OverflowError, TypeError, ValueError):
        return ()


def scale_xy_in(metadata: Mapping[str, str]) -> tuple[float, ...]:
    """Scale_x_y as darknet has it, one a head output; empty where the model does not tell."""
    try:
        return tuple(float(scale) for scale in _literal(metadata.get("scale_xy", "")))
    except (OverflowError, TypeError, ValueError):
        return ()


def keypoints_in(metadata: Mapping[str, str]) -> int:
    """Count the numbers of a pose model's keypoints; 0 where the model does not tell."""
    value = _literal(metadata.get("kpt_shape", ""))
    told = isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(each, int) for each in value)
    return math.prod(value) if told else 0


def head_in(metadata: Mapping[str, str]) -> HeadKind | None:
    """Give the head that the file claims; Ultralytics' ``Detect`` and the like claim none."""
    value = metadata.get("head", "")
    return HeadKind(value) if value in {kind.value for kind in HeadKind} else None


def entries_for(head: Head) -> dict[str, str]:
    """Metadata that lets ``head`` be recognised again whatever happens to the graph before it; the keys above."""
    entries = {"head": head.kind.value, "strides": json.dumps(head.strides)}
    if head.anchors:
        entries["anchors"] = json.dumps(head.anchors)
    if head.scale_xy:
        entries["scale_xy"] = json.dumps(head.scale_xy)
    return entries


def joined_in(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Give the names of convolutions that were joined with others, and what each is a part of now."""
    value = _literal(metadata.get("joined", ""))
    return {str(name): str(now) for name, now in value.items()} if isinstance(value, dict) else {}


def with_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Give a copy of ``model`` whose metadata is exactly ``metadata``."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.metadata_props[:]
    onnx.helper.set_model_props(changed, dict(metadata))
    return changed


def _by_index(value: Mapping[object, object]) -> tuple[str, ...]:
    try:
        names = {int(str(index)): str(name) for index, name in value.items()}
    except ValueError:
        return ()
    if not names or min(names) < 0 or max(names) > 100_000:
        return ()
    return tuple(names.get(index, f"class {index}") for index in range(max(names) + 1))


def _literal(text: str) -> Any:  # noqa: ANN401 - whatever the text holds
    """Read JSON or a Python literal; None for anything else. Nothing in ``text`` is ever run."""
    if not text or len(text) > LONGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
