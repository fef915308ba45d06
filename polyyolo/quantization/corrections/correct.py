"""Weights made ready for INT8 without training: clipped, rounded so that errors cancel, and the bias put right."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import onnx_graphsurgeon as gs
from attrs import evolve
from numpy.typing import NDArray

from polyyolo import progress
from polyyolo.calibration.statistics import Look
from polyyolo.models.spec import load
from polyyolo.quantization.corrections.clipping import clip_of, clipped_scales
from polyyolo.quantization.corrections.moments import STEP, Moments, measure
from polyyolo.quantization.corrections.rounding import Factor, compensated, factor_of
from polyyolo.quantization.corrections.treatment import Treatment
from polyyolo.quantization.corrections.windows import Window, window_of
from polyyolo.quantization.graph import imported
from polyyolo.quantization.insertion import Weights, channel_axis, dequantized, nearest
from polyyolo.quantization.topology import identity, weight_of
from polyyolo.records import CalibrationSet, ModelSpec

WIDEST = 2304
"""Numbers in a patch up to which rounding is compensated, as of 3 x 3 and 256 channels: time grows as the cube, and the
wider, the less there is to win (the error of 2304 is divided by 1.7 on YOLOv8n, that of 576 by 4 to 15)."""
MEMORY = 400 << 20
"""Bytes that the products of patches may take at once; what does not fit gets another pass over the pictures."""


def clipped(spec: ModelSpec, nodes: Iterable[str], method: str) -> dict[str, Weights]:
    """Give the scales of nodes' weights by a method of ``clipping.clip_of``; no picture is needed.

    Args:
        spec: the FP32 model.
        nodes: identities of weighted nodes.
        method: where each output channel is clipped.

    Raises:
        InputError: no such method.
    """
    clip = clip_of(method)
    return {name: Weights(clipped_scales(*_weight(node), clip)) for name, node in _nodes(spec, nodes)}


def correct(
    spec: ModelSpec, nodes: Sequence[str], chosen: CalibrationSet, treatment: Treatment, look: Look | None
) -> dict[str, Weights]:
    """Give the weights of nodes, corrected by what the FP32 model reads on the pictures.

    Nodes other than convolutions of pictures, and grouped ones, are only clipped.

    Args:
        spec: the FP32 model.
        nodes: identities of weighted nodes.
        chosen: the pictures.
        treatment: what is asked for.
        look: tells from the model's outputs where each picture of a batch holds something.

    Raises:
        InputError: nothing of the kind can be asked for.
        ModelError: the model cannot be run.
    """
    weights = clipped(spec, nodes, treatment.clip)
    known = dict(_nodes(spec, nodes))
    readers = _readers(known)
    groups = list(_grouped({window: treatment.rounds and window.width <= WIDEST for window in readers}))
    _tell(known, treatment)
    with progress.step(STEP, chosen.batches * len(groups) + len(readers)):
        for group in groups:
            for window, moments in measure(spec, group, chosen, look).items():
                factor = factor_of(moments.gram) if moments.gram is not None else None
                for name in readers[window]:
                    rounded = _rounded(known[name], weights[name], factor)
                    weights[name] = _shifted(known[name], rounded, moments) if treatment.shifts else rounded
                progress.advance(STEP)
    return weights


def _nodes(spec: ModelSpec, names: Iterable[str]) -> Iterator[tuple[str, gs.Node]]:
    wanted = set(names)
    for node in imported(load(spec.path)).nodes:
        if identity(node) in wanted:
            yield identity(node), node


def _readers(nodes: Mapping[str, gs.Node]) -> dict[Window, list[str]]:
    """Group the nodes that can be corrected by their windows."""
    found: dict[Window, list[str]] = {}
    for name, node in nodes.items():
        window = window_of(node)
        if window is not None:
            found.setdefault(window, []).append(name)
    return found


def _grouped(windows: Mapping[Window, bool]) -> Iterator[dict[Window, bool]]:
    """Split windows, in order, into groups whose products fit into the memory; each with whether they are wanted."""
    group: dict[Window, bool] = {}
    room = MEMORY
    for window, whole in windows.items():
        needed = np.dtype(np.float32).itemsize * window.width**2 if whole else 0
        if needed > room and group:
            yield group
            group, room = {}, MEMORY
        group[window] = whole
        room -= needed
    if group:
        yield group


def _tell(nodes: Mapping[str, gs.Node], treatment: Treatment) -> None:
    """Say which nodes are left as they are."""
    windows = {name: window_of(node) for name, node in nodes.items()}
    inner = [name for name, window in windows.items() if window is not None]
    reasons = {"not corrected: they are no convolutions of pictures, or grouped ones": len(nodes) - len(inner)}
    if treatment.rounds:
        wide = sum(window is not None and window.width > WIDEST for window in windows.values())
        reasons |= {
            f"rounded to the nearest: they read more than {WIDEST} numbers at a place": wide,
            "rounded to the nearest: others read the same weights": sum(_is_shared(nodes[name]) for name in inner),
        }
    for why, count in reasons.items():
        if count:
            progress.note(f"{count} of {len(nodes)} nodes are {why}")


def _weight(node: gs.Node) -> tuple[NDArray[np.floating], int]:
    """Give a node's weights, and which axis of them counts its outputs."""
    weight = cast("gs.Constant", weight_of(node))
    return np.asarray(weight.values), channel_axis(node, weight)


def _rows(node: gs.Node) -> NDArray[np.float64]:
    """Give a convolution's weights as (O, K)."""
    weight, _ = _weight(node)
    return weight.reshape(len(weight), -1).astype(np.float64)


def _is_shared(node: gs.Node) -> bool:
    """Whether others read the same weights, who would need another rounding."""
    return any(len(tensor.outputs) > 1 for tensor in (node.inputs[1], cast("gs.Constant", weight_of(node))))


def _rounded(node: gs.Node, weights: Weights, factor: Factor | None) -> Weights:
    """Round a convolution's weights so that their errors cancel, where that is known how and concerns nobody else."""
    if factor is None or _is_shared(node):
        return weights
    levels = compensated(_rows(node), weights.scales, factor)
    return evolve(weights, levels=levels.reshape(_weight(node)[0].shape))


def _shifted(node: gs.Node, weights: Weights, moments: Moments) -> Weights:
    """Put the mean error that rounded weights make on the patches into the bias; a bias that is computed stays."""
    bias = node.inputs[2] if len(node.inputs) > 2 and not node.inputs[2].is_empty() else None
    if not isinstance(bias, gs.Constant | None):
        return weights
    rows = _rows(node)
    levels = nearest(rows, weights.scales, axis=0) if weights.levels is None else weights.levels.reshape(rows.shape)
    missing = (rows - dequantized(levels, weights.scales, axis=0)) @ moments.mean
    before = np.zeros(len(rows)) if bias is None else bias.values
    return evolve(weights, bias=(before + missing).astype(np.float32))
