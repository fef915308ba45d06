"""What a run needs to make sense, beyond each option for itself."""

import math
from pathlib import Path

from polyyolo import progress
from polyyolo.engines.half import read_half
from polyyolo.errors import InputError, ModelError
from polyyolo.files import real
from polyyolo.quantization.corrections.treatment import treatment_of
from polyyolo.records import HeadKind, ModelSpec, Precision, Request, Route


def check(request: Request, spec: ModelSpec, folder: Path) -> None:
    """Refuse what would end in nonsense, and tell of what will not be used.

    Args:
        request: all that was asked for.
        spec: of the model that it names.
        folder: where results go.

    Raises:
        InputError: a limit is no number, results would take the model's place, or weights are to be treated in a way
            that there is not, or that TensorRT would undo.
        ModelError: the model is FP16, and something else was asked for.
    """
    _refuse_no_numbers(request)
    _refuse_own_folder(spec, folder)
    _refuse_half(request, spec)
    _refuse_lost_weights(request)
    if request.labelled is not None:
        _tell_of_labels(spec)


def _refuse_no_numbers(request: Request) -> None:
    named = {
        "--budget": request.budget,
        "--max-drop": request.limits.max_drop,
        "--min-agreement": request.limits.min_agreement,
    }
    for name, value in named.items():
        if not math.isfinite(value):
            raise InputError(f"{name} is {value}", fix="give a number")


def _refuse_own_folder(spec: ModelSpec, folder: Path) -> None:
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


def _refuse_lost_weights(request: Request) -> None:
    """Refuse to treat weights where TensorRT quantizes them itself, with their largest magnitudes as the range."""
    treatment = treatment_of(request)
    treatment.check()
    if treatment.told and request.route is Route.CALIBRATED:
        raise InputError(
            f"with --route calibrated TensorRT quantizes the weights itself: {', '.join(treatment.told)} would be lost",
            fix="use --route qdq, or leave --weights and --correct as they are by default",
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
