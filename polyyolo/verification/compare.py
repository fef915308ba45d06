"""What a quantized model keeps of its FP32 original, measured on pictures in one pass."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from polyyolo import progress
from polyyolo.errors import ModelError, PictureError
from polyyolo.records import Fidelity, HeadKind, ModelSpec, Preprocessing
from polyyolo.verification.accuracy import score
from polyyolo.verification.agreement import Pair, agreement
from polyyolo.verification.inference import DISPLAY, Findings, Runner, batches
from polyyolo.verification.noise import Noise, pair_outputs
from polyyolo.verification.truth import Labelled
from polyyolo.verification.uncertainty import drop_error

OVERLAPS = (0.5, 0.9)
"""Box agreement is told at these: the same object, and the same box."""


@frozen
class Comparison:
    """A comparison's figures, and what both models found on every picture; no pairs where boxes cannot be read."""

    fidelity: Fidelity
    pairs: tuple[Pair, ...]


def compare(  # noqa: PLR0913 - two models, and what they are compared on
    reference: ModelSpec,
    candidate: ModelSpec,
    preprocessing: Preprocessing,
    *,
    pictures: Sequence[Path] = (),
    labelled: Labelled | None = None,
    held_out: bool = False,
) -> Fidelity:
    """Compare two models; ``side_by_side`` has the arguments and also gives the boxes."""
    return side_by_side(
        reference, candidate, preprocessing, pictures=pictures, labelled=labelled, held_out=held_out
    ).fidelity


def side_by_side(  # noqa: PLR0913 - two models, and what they are compared on
    reference: ModelSpec,
    candidate: ModelSpec,
    preprocessing: Preprocessing,
    *,
    pictures: Sequence[Path] = (),
    labelled: Labelled | None = None,
    held_out: bool = False,
) -> Comparison:
    """Run both models over the same pictures, once.

    Without a recognised head only the raw outputs are compared.

    Args:
        reference: the FP32 original.
        candidate: what was made of it.
        preprocessing: of both; its size fits both models.
        pictures: what to compare on where there are no labels.
        labelled: pictures whose labels give the accuracy of both models too.
        held_out: whether the pictures were kept out of the calibration; recorded.

    Raises:
        ModelError: a model does not run, or the two have no outputs that can be compared.
        PictureError: there is no picture, or one cannot be used.
    """
    chosen = labelled.pictures if labelled else tuple(pictures)
    outputs = pair_outputs(reference, candidate)
    has_boxes = HeadKind.NONE not in (reference.head.kind, candidate.head.kind)
    _refuse_nothing(chosen, comparable=has_boxes or bool(outputs))
    if labelled and not has_boxes:
        progress.warn("labels are not used: no YOLO head was recognised", fix="name the head's family")
    sides = [Findings(spec.head, evaluate=labelled is not None) for spec in (reference, candidate) if has_boxes]
    noise = Noise(outputs)
    with Runner(reference) as first, Runner(candidate) as second:
        for tensors, fits in batches(chosen, preprocessing, max(first.batch, second.batch), "verify"):
            raw = first.infer(tensors), second.infer(tensors)
            noise.add(*raw)
            for side, found in zip(sides, raw, strict=False):
                side.add(found, fits)
    pairs = tuple(map(Pair, chosen, *(side.shown for side in sides))) if sides else ()
    fidelity = Fidelity(
        pictures=len(chosen),
        held_out=held_out,
        signal_to_noise_db=noise.decibels(),
        agreements=tuple(agreement(pairs, confidence=DISPLAY.confidence, iou=iou) for iou in OVERLAPS) if sides else (),
    )
    if labelled and sides:
        fidelity = evolve(fidelity, **_accuracies(labelled, *sides))
    return Comparison(fidelity, pairs)


def _accuracies(labelled: Labelled, reference: Findings, candidate: Findings) -> dict[str, Any]:
    """The fields of ``Fidelity`` that need labels."""
    return {
        "reference": score(labelled, reference.sizes, reference.evaluated),
        "candidate": score(labelled, candidate.sizes, candidate.evaluated),
        "drop_error": drop_error(labelled, reference.sizes, reference.evaluated, candidate.evaluated),
    }


def _refuse_nothing(chosen: Sequence[Path], *, comparable: bool) -> None:
    """Refuse to compare nothing: that would look like agreement."""
    if not chosen:
        raise PictureError("there is no picture to compare the models on", fix="give pictures with --images")
    if not comparable:
        raise ModelError(
            "the models share no output, by name or by shape, and no head was recognised in both",
            fix="compare a model with one that was made from it",
        )
