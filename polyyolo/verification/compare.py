"""What a quantized model keeps of its FP32 original, measured on pictures in one pass."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from polyyolo import progress
from polyyolo.errors import ModelError, PictureError
from polyyolo.records import Fidelity, ModelSpec, Preprocessing
from polyyolo.verification.accuracy import score
from polyyolo.verification.agreement import Pair, agreements
from polyyolo.verification.inference import DISPLAY
from polyyolo.verification.noise import noise
from polyyolo.verification.sightings import Kept, Sighting, View, look
from polyyolo.verification.truth import Labelled
from polyyolo.verification.uncertainty import drop_error


@frozen
class SideBySide:
    """A comparison's figures, and what both models found on every picture; no pairs where boxes cannot be read."""

    fidelity: Fidelity
    pairs: tuple[Pair, ...]


def side_by_side(  # noqa: PLR0913 - two models, and what they are compared on
    reference: ModelSpec,
    candidate: ModelSpec,
    preprocessing: Preprocessing,
    *,
    pictures: Sequence[Path] = (),
    labelled: Labelled | None = None,
    held_out: bool = False,
    kept: Kept | None = None,
) -> SideBySide:
    """Run both models over the same pictures, once.

    Without a recognised head only the raw outputs are compared.

    Args:
        reference: the FP32 original.
        candidate: what was made of it.
        preprocessing: of both; its size fits both models.
        pictures: what to compare on where there are no labels.
        labelled: pictures whose labels give the accuracy of both models too.
        held_out: whether the pictures were kept out of the calibration; recorded.
        kept: what an earlier run saw.

    Raises:
        ModelError: a model does not run, or the two have no outputs that can be compared.
        PictureError: there is no picture, or one cannot be used.
    """
    chosen = labelled.pictures if labelled else tuple(pictures)
    view = View((reference, candidate), preprocessing, evaluate=labelled is not None)
    _refuse_nothing(chosen, view)
    if labelled and not view.has_boxes:
        progress.warn("labels are not used: no YOLO head was recognised", fix="name the head's family")
    seen = look(view, chosen, kept)
    pairs = tuple(Pair(path, *each.shown) for path, each in zip(chosen, seen, strict=True) if view.has_boxes)
    fidelity = Fidelity(
        pictures=len(chosen),
        held_out=held_out,
        **noise(view.outputs, (each.powers for each in seen)),
        agreements=agreements(pairs, confidence=DISPLAY.confidence),
    )
    if labelled and view.has_boxes:
        fidelity = evolve(fidelity, **_accuracies(labelled, seen))
    return SideBySide(fidelity, pairs)


def _accuracies(labelled: Labelled, seen: Sequence[Sighting]) -> dict[str, Any]:
    """The fields of ``Fidelity`` that need labels."""
    sizes = [each.size for each in seen]
    reference, candidate = ([each.evaluated[side] for each in seen] for side in (0, 1))
    scored = score(labelled, sizes, reference)
    if scored.finds_hardly_anything:
        progress.warn(
            f"the model that is compared with reaches an mAP50-95 of {scored.map50_95:.4f} itself: hardly anything of "
            "the labels",
            fix="check that they are of these pictures, and of the model's classes in the model's order; and how the "
            "model is read and fed, with polyyolo inspect model and polyyolo inspect data",
        )
    return {
        "reference": scored,
        "candidate": score(labelled, sizes, candidate),
        "drop_error": drop_error(labelled, sizes, reference, candidate),
    }


def _refuse_nothing(chosen: Sequence[Path], view: View) -> None:
    """Refuse to compare nothing: that would look like agreement; and models that know other classes."""
    if not chosen:
        raise PictureError("there is no picture to compare the models on", fix="give pictures with --images")
    if not view.has_boxes and not view.outputs:
        raise ModelError(
            "the models share no output, by name or by shape, and no head was recognised in both",
            fix="compare a model with one that was made from it",
        )
    reference, candidate = view.models
    if view.has_boxes and not reference.head.may_share_classes(candidate.head):
        raise ModelError(
            f"{candidate.path.name} has {candidate.head.classes} classes, and {reference.path.name} "
            f"{reference.head.classes}: their boxes cannot be compared",
            fix="compare a model with the one that it was made from",
        )
