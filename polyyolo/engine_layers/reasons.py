"""Why a layer computes in float while others compute in INT8."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from polyyolo.engine_layers.exported import Exported, Role
from polyyolo.engine_layers.links import INPUT, Links
from polyyolo.engine_layers.reading import text_of

HEAD, DECODE, PICTURE = "head", "decode", "reads the picture"
NO_SCALE, NO_KERNEL = "no scale", "TensorRT has no INT8 kernel"
NOT_QUANTIZED, UNTOLD = "not quantized in the model", "no scale, or float was quicker"
FLOAT_ONLY = re.compile(
    r"softmax|topk|nms|gather|scatter|normalization|reduce|unary|einsum|shape|fill|foreignnode|myelin", re.IGNORECASE
)
_MISSING = re.compile(r"Missing scale and zero-point for tensor (.+?), expect fall back")


def reasons(layers: Sequence[Exported], links: Links, unscaled: frozenset[str] = frozenset()) -> Mapping[int, str]:
    """Say for each layer that computes in float why.

    The first that holds: it is the last convolution before the outputs (head); no convolution follows it (decode); it
    reads the picture itself; the build's log tells that one of its tensors has no scale; TensorRT has no INT8 kernel of
    its kind; the model has Q/DQ nodes, but not around it.

    Args:
        layers: of one engine.
        links: between them.
        unscaled: tensors without a scale (``missing_scales``).

    Returns:
        Place in ``layers`` -> reason; nothing where no layer is in INT8, for then none fell back.
    """
    computing = [place for place, layer in enumerate(layers) if layer.role is Role.COMPUTES]
    if not any(layers[place].is_int8 for place in computing):
        return {}
    above = links.above(place for place in computing if layers[place].is_weighted)
    explicit = any("QuantizeLinear" in layer.name for layer in layers)

    def why(place: int) -> str:
        layer = layers[place]
        if place not in above:
            return HEAD if layer.is_weighted else DECODE
        if INPUT in links.up[place]:
            return PICTURE
        if unscaled & {tensor.name for tensor in (*layer.inputs, *layer.outputs)}:
            return NO_SCALE
        if FLOAT_ONLY.search(layer.kind):
            return NO_KERNEL
        return NOT_QUANTIZED if explicit else UNTOLD

    return {place: why(place) for place in computing if not layers[place].is_int8}


def missing_scales(log: Path) -> frozenset[str]:
    """Read from a build's log which tensors had no scale.

    Raises:
        InputError: no such file.
    """
    return frozenset(_MISSING.findall(text_of(log, fix="name the log of the build")))
