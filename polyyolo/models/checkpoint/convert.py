"""A checkpoint in, an ONNX out, without torch."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from polyyolo import __version__
from polyyolo.errors import ModelError
from polyyolo.models.checkpoint.archive import damaged, opened
from polyyolo.models.checkpoint.graph import Canvas, Feature, Graph
from polyyolo.models.checkpoint.heads import Head, detect
from polyyolo.models.checkpoint.modules import Module, detector
from polyyolo.models.checkpoint.objects import Refused, brief
from polyyolo.models.checkpoint.rules import LAYERS
from polyyolo.models.checkpoint.tensors import Tensors
from polyyolo.models.checkpoint.unpickler import unpickle
from polyyolo.models.own_size import USUAL_SIZE
from polyyolo.progress import note, step

IMAGE = "images"

MAX_INPUTS = 64
"""Earlier layers that one layer takes; YOLOv5 takes four at most."""


def convert(  # noqa: PLR0913 - one each for what an exporter lets one choose
    path: Path,
    output: Path,
    *,
    head: str = "decoded",
    dynamic: bool = False,
    size: tuple[int, int] = USUAL_SIZE,
    batch: int = 1,
    opset: int = 17,
) -> Path:
    """Turn a YOLOv5 or Ultralytics detection checkpoint into an ONNX.

    The input is ``images``, (batch, channels, height, width) float32. Weights are FP32, batch norms folded in; the
    moving average of the weights is taken where the checkpoint has one.

    Args:
        path: the .pt file.
        output: where the ONNX is written.
        head: "decoded" for boxes and scores in ``output0``, "raw" for the maps ``p3``, ``p4``, ``p5``.
        dynamic: leave batch, height and width open; ``size`` and ``batch`` are not used then.
        batch: pictures at once.
        size: (height, width) in pixels, multiples of the model's largest stride.
        opset: of ONNX, 11 to 21.

    Returns:
        ``output``.

    Raises:
        ModelError: the file is no such checkpoint, is damaged or malicious, or an option does not fit it.
    """
    canvas = _canvas(head, Canvas(opset, size, batch, dynamic))
    with step(f"convert {path.name}"):
        model = _read(path, canvas, raw=head == "raw")
        onnx.save(model, output)
    return output


def _canvas(head: str, canvas: Canvas) -> Canvas:
    if head not in ("decoded", "raw"):
        raise ModelError(f"there is no head {head!r}", fix="take decoded, or raw")
    if not 11 <= canvas.opset <= 21:
        raise ModelError(
            f"opset {canvas.opset} cannot be written", fix="choose 11 to 21; 17 suits TensorRT 8.5 and later"
        )
    if min(canvas.batch, *canvas.size) < 1:
        raise ModelError(
            f"batch {canvas.batch} and size {canvas.size} cannot be",
            fix="give a batch of 1 or more, and a size in pixels",
        )
    return canvas


def _read(path: Path, canvas: Canvas, *, raw: bool) -> onnx.ModelProto:
    with opened(path) as archive:
        try:
            checkpoint = unpickle(archive.pickle())
        except Refused as error:
            raise damaged(path, str(error)) from error
        return _model(detector(checkpoint, Tensors(archive)), canvas, raw=raw)


def _model(top: Module, canvas: Canvas, *, raw: bool) -> onnx.ModelProto:
    graph = Graph(canvas, LAYERS)
    *modules, last = top.child("model").children() or (top,)
    image = Feature(IMAGE, _channels(top), 1)
    features = [image]
    for module in modules:
        features.append(graph.run(module, *_sources(module, features)))
    levels = _sources(last, features)
    _check_size(canvas, max(feature.stride for feature in levels))
    head = detect(graph, last, levels, raw=raw)
    model = _assembled(graph, image, head)
    helper.set_model_props(model, _metadata(top, head))
    _check(top.tensors.archive.path, model)
    return model


def _channels(top: Module) -> int:
    """Give how many channels a picture has: ``ch`` in the model's own description, 3 where it does not say."""
    description = top.state.get("yaml")
    stated = description.get("ch", 3) if isinstance(description, dict) else 3
    return stated if isinstance(stated, int) else 3


def _sources(module: Module, features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Find what a layer takes: ``f`` has the numbers of earlier layers, or -1 for the one before it.

    Args:
        module: the layer.
        features: the image, then what each earlier layer gave.
    """
    stated = module.state.get("f")
    numbers = [n for n in (stated if isinstance(stated, list) else [stated]) if isinstance(n, int)]
    if not 0 < len(numbers) <= MAX_INPUTS or not all(-len(features) <= n < len(features) - 1 for n in numbers):
        raise module.unusable(f"it takes {brief(stated)} as input f, and {len(features) - 1} layers come before it")
    return tuple(features[n if n < 0 else n + 1] for n in numbers)


def _check_size(canvas: Canvas, stride: int) -> None:
    if not canvas.dynamic and (canvas.size[0] % stride or canvas.size[1] % stride):
        height, width = (-(-side // stride) * stride for side in canvas.size)
        raise ModelError(
            f"a picture of {canvas.size[0]}x{canvas.size[1]} does not divide into cells of {stride} pixels",
            fix=f"choose multiples of {stride}, such as {height}x{width}",
        )


def _assembled(graph: Graph, image: Feature, head: Head) -> onnx.ModelProto:
    canvas = graph.canvas
    dims = (
        ("batch", image.channels, "height", "width") if canvas.dynamic else (canvas.batch, image.channels, *canvas.size)
    )
    body = helper.make_graph(
        graph.nodes,
        "yolo",
        [helper.make_tensor_value_info(image.name, TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in head.outputs.items()],
        list(graph.initializers.values()),
    )
    opsets = [helper.make_opsetid("", canvas.opset)]
    return helper.make_model(
        body,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="polyyolo",
        producer_version=__version__,
    )


def _metadata(top: Module, head: Head) -> dict[str, str]:
    return {
        "names": json.dumps(_names(top, head.classes)),
        "strides": json.dumps(head.strides),
        "stride": str(max(head.strides)),
        "anchors": json.dumps(head.anchors),
        "head": head.kind.value,
        "task": "detect",
    }


def _names(top: Module, classes: int) -> dict[int, str]:
    """Read the class names, which YOLOv5 kept as a list and later as a dict; none where they do not fit the head."""
    stated = top.state.get("names")
    names = dict(enumerate(stated)) if isinstance(stated, list | tuple) else stated
    if isinstance(names, dict) and list(names) == list(range(classes)) and _are_words(names.values()):
        return {index: str(name) for index, name in names.items()}
    note(f"{top.tensors.archive.path.name} does not name its {classes} classes")
    return {}


def _are_words(values: Iterable[object]) -> bool:
    return all(isinstance(value, str | int) for value in values)


def _check(path: Path, model: onnx.ModelProto) -> None:
    """Let ONNX's own checker and shape inference look at the result, whatever the checkpoint made of it."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise damaged(path, f"the graph made from it is not valid: {lines[0]}") from error
