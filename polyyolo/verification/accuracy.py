"""COCO's mean average precision, computed by faster-coco-eval."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from polyyolo.records import Accuracy, ModelSpec, Preprocessing
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.inference import Findings, Runner, batches
from polyyolo.verification.truth import Labelled, Truth

DETECTIONS = 100
"""Boxes of a class that count on a picture, as in COCO's own evaluation."""


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
    truths = [(number, truth) for number, objects in enumerate(labelled.truths, 1) for truth in objects]
    rows = np.concatenate([_rows(number, boxes) for number, boxes in enumerate(found, 1)])
    # One class at a time: the evaluation makes a kilobyte of dictionaries of every detection.
    precision = {
        label: _precision(
            _dataset([pair for pair in truths if pair[1].label == label], sizes, relative=labelled.relative),
            rows[rows[:, 6] == label],
        )
        for label in sorted({truth.label for _, truth in truths if not truth.crowd})
    }
    return Accuracy(
        map50_95=_mean(precision.values()),
        map50=_mean(by_overlap[:1] for by_overlap in precision.values()),
        pictures=len(labelled.pictures),
        per_class={labelled.name(label): float(values.mean()) for label, values in precision.items()},
    )


def _precision(dataset: dict[str, Any], rows: Array) -> Array:
    """Evaluate one class.

    Returns:
        (10, 101) precision by IoU and recall.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    if not len(rows):  # faster-coco-eval 1.6 fails without detections
        return np.zeros((10, 101))
    truth = COCO(dataset, print_function=_silent)
    evaluation = COCOeval_faster(truth, truth.loadRes(rows), "bbox", print_function=_silent)
    evaluation.params.maxDets = [DETECTIONS]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision: Array = evaluation.eval["precision"][:, :, 0, 0, 0]
    return precision


def _dataset(
    truths: Iterable[tuple[int, Truth]], sizes: Sequence[tuple[int, int]], *, relative: bool
) -> dict[str, Any]:
    """The labels of one class as COCO's JSON has them; numbers start at 1, because 0 means "unmatched" there."""
    images = [{"id": number, "height": size[0], "width": size[1]} for number, size in enumerate(sizes, 1)]
    annotations = []
    for place, (picture, truth) in enumerate(truths, 1):
        height, width = sizes[picture - 1] if relative else (1, 1)
        box = [side * scale for side, scale in zip(truth.box, (width, height, width, height), strict=True)]
        annotations.append(
            {
                "id": place,
                "image_id": picture,
                "category_id": truth.label,
                "bbox": box,
                "area": truth.area or box[2] * box[3],
                "iscrowd": int(truth.crowd),
            }
        )
    label = annotations[0]["category_id"]
    return {"images": images, "annotations": annotations, "categories": [{"id": label, "name": str(label)}]}


def _rows(number: int, boxes: Boxes) -> Array:
    """(N, 7) float64: picture, x, y, width, height, score, class."""
    corners = boxes.xyxy.astype(np.float64)
    return np.column_stack(
        [np.full(len(boxes), number), corners[:, :2], corners[:, 2:] - corners[:, :2], boxes.scores, boxes.classes]
    )


def _mean(by_class: Iterable[Array]) -> float:
    """Mean over classes; each has equally many values. 0 where there is no class."""
    means = [float(values.mean()) for values in by_class]
    return sum(means) / len(means) if means else 0.0


def _silent(*_: object) -> None:
    """Print nothing: the library is silent."""
