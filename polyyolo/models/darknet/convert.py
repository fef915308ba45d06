"""From darknet's two files to an ONNX with raw heads."""

import json
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import helper

from polyyolo.errors import ModelError
from polyyolo.models.darknet.cfg import read_cfg
from polyyolo.models.darknet.graph import make_graph
from polyyolo.models.darknet.names import class_names
from polyyolo.models.darknet.network import Network, read_network
from polyyolo.models.darknet.weights import check_length, read_weights
from polyyolo.records import HeadKind

OPSETS = (13, 21)  # the first whose Resize needs no roi, the last that these nodes were checked with
BATCHES = 4096


def convert(  # noqa: PLR0913 - each is a choice of whoever converts
    cfg: Path,
    weights: Path,
    output: Path,
    *,
    size: tuple[int, int] | None = None,
    batch: int = 1,
    dynamic: bool = False,
    opset: int = 17,
    names: Sequence[str] | None = None,
) -> Path:
    """Write the model as ONNX: input ``images`` (batch, 3, height, width), one raw map a head, in the cfg's order.

    Everything that the cfg says is checked, and the weights' length with it, before anything large is read.

    Args:
        cfg: darknet's description of the layers.
        weights: darknet's float32 weights.
        output: the .onnx to write.
        size: (height, width) in pixels; the cfg's own where None.
        dynamic: leave batch, height and width open (height and width in multiples of the largest stride).
        batch: pictures a run, where it is not left open.
        opset: version of ONNX's operators, 13 to 21.
        names: class names; see ``class_names`` for where they come from otherwise.

    Returns:
        ``output``.

    Raises:
        ModelError: the files do not belong together, are damaged, or hold what is not converted.
    """
    if not OPSETS[0] <= opset <= OPSETS[1] or not 1 <= batch <= BATCHES:
        raise ModelError(
            f"opset {opset} and batch {batch} cannot be had from darknet's files",
            fix=f"choose an opset from {OPSETS[0]} to {OPSETS[1]} and a batch from 1 to {BATCHES}",
        )
    network = read_network(read_cfg(cfg), size)
    check_length(weights, network)
    labels = class_names(cfg, network.yolos[0].classes, names)
    sides = ("height", "width") if dynamic else (network.image.height, network.image.width)
    graph = make_graph(network, tuple(read_weights(weights, network)), "batch" if dynamic else batch, sides)
    model = helper.make_model(graph, producer_name="polyyolo", opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = min(model.ir_version, 8)  # what ONNX Runtime 1.20 and TensorRT 8 read
    helper.set_model_props(model, _metadata(network, labels))
    onnx.checker.check_model(model)
    onnx.save(model, output)
    return output


def _metadata(network: Network, labels: Sequence[str]) -> dict[str, str]:
    """What a decoder needs, so that nothing has to be guessed; ``names`` as Ultralytics writes them."""
    yolos = network.yolos
    kind = HeadKind.V5_RAW if network.new_coords else HeadKind.DARKNET_RAW
    metadata = {
        "head": kind.value,
        "classes": str(yolos[0].classes),
        "stride": str(max(network.strides)),
        "strides": json.dumps(network.strides),
        "anchors": json.dumps([head.anchors for head in yolos]),
        "imgsz": json.dumps([network.image.height, network.image.width]),
    }
    if kind is HeadKind.DARKNET_RAW:
        metadata["scale_xy"] = json.dumps([head.scale_xy for head in yolos])
    if labels:
        metadata["names"] = str(dict(enumerate(labels)))
    return metadata
