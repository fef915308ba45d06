"""What a run needs to make sense, beyond each option for itself."""

from collections.abc import Iterable
from pathlib import Path

from polyyolo import progress
from polyyolo.engines.calibrators import BASES
from polyyolo.engines.refusals import name_of, refuse_other_precision
from polyyolo.errors import InputError, ModelError, ToolchainError
from polyyolo.files import real, refuse_file
from polyyolo.models.half import read_half
from polyyolo.models.nms_plugin import NMS_PLUGIN, has_nms_plugin
from polyyolo.models.tensors import refuse_more_inputs
from polyyolo.quantization.corrections.treatment import treatment_of
from polyyolo.quantization.lint.run import refuse_unbuildable
from polyyolo.quantization.quantize import refuse_contradiction
from polyyolo.records import USUAL, HeadKind, Limits, ModelSpec, Precision, Request, Route, Toolchain, ToolchainKind

OF_SCALES = ("method", "weights", "correct", "keep_float", "budget", "shift")


def check(request: Request, spec: ModelSpec, folder: Path, found: Toolchain) -> None:
    """Refuse what would end in nonsense, and tell of what will not be used.

    Args:
        request: all that was asked for.
        spec: of the model that it names.
        folder: where results go.
        found: what builds engines here.

    Raises:
        InputError: a limit can never be proven, a quantized model is to become something else, results would take the
            model's place or lie below a file, or weights are to be treated in a way that there is not, or that
            TensorRT would undo.
        ModelError: the model needs more than a picture, or is FP16 and something else was asked for.
        ToolchainError: TensorRT shall calibrate by itself, and there is none, or none that can; or what is here has not
            the model's plugin.
    """
    check_speedup(request.limits, request.baseline)
    refuse_other_precision(spec, request.precision)
    _refuse_own_folder(spec, folder)
    refuse_more_inputs(spec)
    _refuse_half(request, spec)
    refuse_contradiction(request.keep_float)
    _tell_of_unused(request, spec)
    _refuse_lost_weights(request)
    _refuse_calibrator(request, found)
    _refuse_plugin(spec, found)
    if spec.quantized:
        refuse_unbuildable(spec)
    if request.labelled is not None:
        _tell_of_labels(spec)


def check_speedup(limits: Limits, baseline: Path | None) -> None:
    """Refuse to ask for an engine that is faster than none, and tell of a baseline that nothing is held against.

    Raises:
        InputError: as above.
    """
    if baseline is not None and limits.min_speedup is None:
        progress.note(f"--baseline {baseline}: without effect, since no --min-speedup says how much faster to be")
    if limits.min_speedup is not None and baseline is None:
        raise InputError(
            f"--min-speedup {limits.min_speedup:g} does not say faster than what",
            fix="measure the engine to be faster than, polyyolo bench ENGINE -o baseline.json, and add "
            "--baseline baseline.json",
        )


def _refuse_own_folder(spec: ModelSpec, folder: Path) -> None:
    refuse_file(folder)
    if real(folder) in real(spec.path).parents:
        raise InputError(
            f"{spec.path} lies in {folder}, where results of this run would take its place",
            fix="choose another folder with -o",
        )


def _refuse_half(request: Request, spec: ModelSpec) -> None:
    """Types in the graph decide, and scales are measured in FP32: FP16 in means FP16 out."""
    if spec.quantized or request.precision is Precision.FP16 or not read_half(spec.path).anywhere:
        return
    raise ModelError(
        f"{spec.path} holds FP16, but {request.precision.value} was asked for",
        fix="export the model in FP32 (half=False), or use --precision fp16",
    )


def _refuse_plugin(spec: ModelSpec, found: Toolchain) -> None:
    if found.kind is ToolchainKind.RTX and has_nms_plugin(spec.path):
        raise ToolchainError(
            f"{spec.path} holds the plugin {NMS_PLUGIN}, which TensorRT for RTX has not",
            fix="build it with TensorRT, make the ONNX alone with --toolchain none, or export the model without NMS",
        )


def _tell_of_unused(request: Request, spec: ModelSpec) -> None:
    """Tell of options that are about scales, where none are made, and of a budget that nothing is chosen by."""
    if request.precision is Precision.INT8 and not spec.quantized:
        if request.budget != USUAL.budget and not {"auto", "stem"} & set(request.keep_float):
            kept = " ".join(f"--keep-float {each}" for each in request.keep_float)
            progress.note(f"--budget: without effect, since {kept} says by itself what stays in float")
        return
    unused = _changed(request, OF_SCALES)
    if unused:
        why = "the model came quantized" if spec.quantized else f"--precision {request.precision.value} has no scales"
        progress.note(f"{', '.join(unused)}: without effect, since {why}")


def _changed(request: Request, names: Iterable[str]) -> list[str]:
    """Spell the options among these that are not as by default."""
    changed = [name for name in names if getattr(request, name) != getattr(USUAL, name)]
    return [f"--{'no-' * (getattr(request, name) is False)}{name.replace('_', '-')}" for name in changed]


def _refuse_lost_weights(request: Request) -> None:
    """Refuse to treat weights where TensorRT quantizes them itself, with their largest magnitudes as the range."""
    treatment = treatment_of(request)
    treatment.check()
    if treatment.told and request.route is Route.CALIBRATED:
        raise InputError(
            f"with --route calibrated TensorRT quantizes the weights itself: {', '.join(treatment.told)} would be lost",
            fix="use --route qdq, or leave --weights and --correct as they are by default",
        )


def _refuse_calibrator(request: Request, found: Toolchain) -> None:
    """Refuse to let TensorRT calibrate where it cannot, and what would have no effect if it did."""
    if request.calibrator is None:
        return
    if request.calibrator not in BASES:
        raise InputError(f"there is no calibrator {request.calibrator!r}", fix=f"use {', '.join(BASES)}")
    ours = "leave --calibrator out: polyyolo calibrates by itself then, without a GPU"
    if request.route is not Route.CALIBRATED:
        raise InputError(
            f"--calibrator is for --route calibrated: with --route {request.route.value} scales are in the ONNX",
            fix=f"add --route calibrated; or {ours}",
        )
    if found.kind is ToolchainKind.NONE or not found.has_calibrator:
        here = "nothing here builds engines" if found.kind is ToolchainKind.NONE else f"{name_of(found)} has none"
        raise ToolchainError(
            f"--calibrator {request.calibrator} is an INT8 calibrator of TensorRT 8.5 to 10, on a GPU: {here}", fix=ours
        )
    lost = _changed(request, ("method", "keep_float", "budget", "shift"))
    if lost:
        raise InputError(
            f"with --calibrator TensorRT chooses the range of every tensor: {', '.join(lost)} would be lost",
            fix=f"leave {' and '.join(lost)} out, or {ours}",
        )


def _tell_of_labels(spec: ModelSpec) -> None:
    if spec.quantized:
        progress.warn(
            "accuracy is not measured: the model came quantized, and its FP32 model is not here to compare with",
            "quantize the FP32 model instead, or leave --labelled out",
        )
    elif spec.head.kind is HeadKind.NONE:
        progress.warn(
            "accuracy is not measured: the model's outputs are no detections that labels could be held against",
            "name the family with --head where it has one, or leave --labelled out",
        )
