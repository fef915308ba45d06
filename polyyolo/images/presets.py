"""The preprocessing that a model was trained with, and what a user may change about it."""

from collections.abc import Mapping
from typing import Any

from polyyolo.errors import PictureError
from polyyolo.images.overrides import mistakes_in
from polyyolo.records import HeadKind, ModelSpec, Preprocessing, TensorSpec

_YOLOX: Mapping[str, Any] = {"fit": "top-left", "colour": "bgr", "scale": 1.0}
_ANY_FAMILY: Mapping[str, Any] = {}  # a plain dictionary: Polygraphy pickles a Feeder, and with it what it was made of
_PRESETS = {HeadKind.YOLOX: _YOLOX, HeadKind.YOLOX_RAW: _YOLOX}
DTYPES = ("float32", "float16", "uint8")


def preprocessing_for(spec: ModelSpec, size: tuple[int, int], **overrides: Any) -> Preprocessing:  # noqa: ANN401 - checked
    """Choose the preprocessing for a model.

    YOLOX gets its own: grey 114 right and below, BGR and 0 to 255. Every other family gets YOLOv5's letterbox with grey
    114, RGB and 1/255. Darknet's models too: darknet itself stretches unless its cfg says letter_box=1, but yolov4-tiny
    has 0.2737 mAP50-95 on coco128-val letterboxed to 416, and 0.2676 stretched. Where the program around the engine
    stretches, ``fit="stretch"`` calibrates with what it will see.

    Args:
        spec: the model.
        size: (height, width) in pixels.
        **overrides: any of fit, pad, colour, scale, mean, std; None keeps the preset.

    Raises:
        PictureError: an override or the size cannot be; all mistakes are named.
    """
    mistakes = [
        f"{side} {pixels} is no multiple of the model's stride {spec.stride} (try {_nearest(pixels, spec.stride)})"
        for side, pixels, dim in zip(("height", "width"), size, spec.image_input.dims[2:], strict=False)
        if isinstance(dim, str) and pixels % spec.stride
    ]
    if mistakes:
        raise PictureError("; ".join(mistakes), fix="choose a height and width that the model's stride divides")
    return for_input(spec.image_input, size, preset_of(spec), **overrides)


def preset_of(spec: ModelSpec) -> Mapping[str, Any]:
    """Give what differs from YOLOv5's preprocessing in the family of a model's head, and in a model that scales."""
    family = _PRESETS.get(spec.head.kind, _ANY_FAMILY)
    return {**family, "scale": 1.0} if spec.takes_levels else family


def for_input(
    tensor: TensorSpec,
    size: tuple[int, int],
    preset: Mapping[str, Any] = _ANY_FAMILY,
    **overrides: Any,  # noqa: ANN401 - checked
) -> Preprocessing:
    """Choose the preprocessing for a (N, C, H, W) input.

    Args:
        tensor: the input.
        size: (height, width) in pixels.
        preset: what differs from YOLOv5's in the model's family.
        **overrides: as for ``preprocessing_for``.

    Raises:
        PictureError: the input takes no pictures, the size is not the model's, or an override cannot be; all mistakes
        are named.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    own = dict(preset)
    if _channels(tensor) == 1:
        own["colour"] = "grey"
    if tensor.dtype == "uint8":
        own["scale"] = 1.0
    mistakes = [*_input_mistakes(tensor, size), *mistakes_in(given)]
    if not mistakes:
        chosen = Preprocessing(size=size, dtype=tensor.dtype, **{**own, **_typed(given)})
        mistakes = _clashes(tensor, chosen)
    if mistakes:
        raise PictureError(
            f"input {tensor.name!r} cannot be fed so: " + "; ".join(mistakes),
            fix="correct the preprocessing options, or leave them out to use the model's preset",
        )
    return chosen


def _typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Repeat a single mean or std for all three channels."""
    repeated = {
        name: tuple(map(float, given[name])) * (3 // len(given[name])) for name in ("mean", "std") if name in given
    }
    return {**given, **repeated}


def _channels(tensor: TensorSpec) -> int | None:
    dim = tensor.dims[1] if len(tensor.dims) == 4 else None
    return dim if isinstance(dim, int) else None


def _input_mistakes(tensor: TensorSpec, size: tuple[int, int]) -> list[str]:
    mistakes = []
    if len(tensor.dims) != 4 or _channels(tensor) not in {1, 3, None}:
        mistakes.append(f"its shape is {tensor.dims}, not (N, 3 or 1, H, W)")
    if tensor.dtype not in DTYPES:
        mistakes.append(f"its type is {tensor.dtype}, not one of {', '.join(DTYPES)}")
    for side, pixels, dim in zip(("height", "width"), size, tensor.dims[2:4], strict=False):
        if pixels < 1 or (isinstance(dim, int) and dim != pixels):
            mistakes.append(f"{side} {pixels} was asked for, but it takes {dim}")
    return mistakes


def _clashes(tensor: TensorSpec, chosen: Preprocessing) -> list[str]:
    mistakes = []
    channels = _channels(tensor)
    if channels and (channels == 1) != (chosen.colour == "grey"):
        mistakes.append(f"it has {channels} channel(s), which colour {chosen.colour!r} does not give")
    if chosen.dtype == "uint8" and (chosen.scale != 1 or any(chosen.mean) or chosen.std != (1.0, 1.0, 1.0)):
        mistakes.append("it takes uint8 pixels as they are, so that scale is 1, mean 0 and std 1")
    return mistakes


def _nearest(pixels: int, stride: int) -> int:
    return max(1, round(pixels / stride)) * stride
