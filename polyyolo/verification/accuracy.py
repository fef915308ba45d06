"""COCO's mean average precision, computed by faster-coco-eval."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from polyyolo.records import Accuracy, ModelSpec, Preprocessing
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.inference import Findings, Runner, batches
from polyyolo.verification.truth import Labelled


def measure(spec: ModelSpec, preprocessing: Preprocessing, labelled: Labelled) -> Accuracy:
    """Measure one model alone, in ONNX Runtime.

    Raises:
        ModelError: the model does not run, or has no recognised head.
        PictureError: a picture cannot be used.
    """
    findings = Findings(spec.head, evaluate=True)
    with Runner(spec) as runner:
        for tensors, fits in batches(labelled.pictures, preprocessing, runner.batch, "measure"):
            findings.add(runner.infer(tensors), fits)
    return score(labelled, findings.sizes, findings.evaluated)


def score(labelled: Labelled, sizes: Sequence[tuple[int, int]], found: Sequence[Boxes]) -> Accuracy:
    """Compare what a model found with what the labels say.

    Args:
        labelled: the pictures and their objects.
        sizes: (height, width) in pixels of each picture, in the order of ``labelled``.
        found: the model's boxes on each picture, in its pixels, with every score above 0.001.

    Returns:
        Accuracy; mAP is 0 where the labels hold no object.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    labels = sorted({truth.label for truths in labelled.truths for truth in truths})
    truth = COCO(_dataset(labelled, sizes, labels), print_function=_silent)
    rows = np.concatenate([_rows(number, boxes) for number, boxes in enumerate(found, 1)])
    evaluation = COCOeval_faster(
        truth, truth.loadRes(rows[np.isin(rows[:, 6], labels)]), "bbox", print_function=_silent
    )
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # by IoU, recall and class; of all areas, 100 boxes
    return Accuracy(
        map50_95=_mean(precision),
        map50=_mean(precision[:1]),
        pictures=len(labelled.pictures),
        per_class={labelled.name(label): _mean(precision[:, :, place]) for place, label in enumerate(labels)},
    )


def _dataset(labelled: Labelled, sizes: Sequence[tuple[int, int]], labels: Sequence[int]) -> dict[str, Any]:
    """The labels as COCO's JSON has them; numbers start at 1, because 0 means "unmatched" there."""
    images = [{"id": number, "height": size[0], "width": size[1]} for number, size in enumerate(sizes, 1)]
    annotations = [
        annotation for number, size in enumerate(sizes, 1) for annotation in _annotations(labelled, number, size)
    ]
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": label, "name": labelled.name(label)} for label in labels],
    }


def _annotations(labelled: Labelled, number: int, size: tuple[int, int]) -> Iterable[dict[str, Any]]:
    across, down = (size[1], size[0]) if labelled.relative else (1, 1)
    for truth in labelled.truths[number - 1]:
        left, top, width, height = truth.box
        yield {
            "image_id": number,
            "category_id": truth.label,
            "bbox": [left * across, top * down, width * across, height * down],
            "area": truth.area or width * across * height * down,
            "iscrowd": int(truth.crowd),
        }


def _rows(number: int, boxes: Boxes) -> Array:
    """(N, 7) float64: picture, x, y, width, height, score, class."""
    corners = boxes.xyxy.astype(np.float64)
    return np.column_stack(
        [np.full(len(boxes), number), corners[:, :2], corners[:, 2:] - corners[:, :2], boxes.scores, boxes.classes]
    )


def _mean(precision: Array) -> float:
    """Mean over what is defined: classes without an object have -1."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else 0.0


def _silent(*_: object) -> None:
    """Print nothing: the library is silent."""
