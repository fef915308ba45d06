"""COCO's mean average precision, computed by faster-coco-eval."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from polyyolo.models.spec import refuse_headless
from polyyolo.records import Accuracy, ModelSpec, Preprocessing
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.sightings import Kept, View, look
from polyyolo.verification.truth import Labelled, Truth

DETECTIONS = 100
"""Boxes of a class that count on a picture, as in COCO's own evaluation."""

ALL = {"all": (0.0, 1e5**2)}
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2)}
"""COCO's areas in square pixels; the ends belong to both."""

Areas = Mapping[str, tuple[float, float]]


def measure(spec: ModelSpec, preprocessing: Preprocessing, labelled: Labelled, kept: Kept | None = None) -> Accuracy:
    """Measure one model alone.

    Args:
        spec: an ONNX or an engine, with a recognised head.
        preprocessing: of the model.
        labelled: the pictures and their objects.
        kept: what an earlier run saw.

    Raises:
        ModelError: the model does not run, or has no recognised head.
        PictureError: a picture cannot be used.
    """
    refuse_headless(spec)
    seen = look(View((spec,), preprocessing, evaluate=True), labelled.pictures, kept)
    return score(labelled, [each.size for each in seen], [each.evaluated[0] for each in seen])


def score(labelled: Labelled, sizes: Sequence[tuple[int, int]], found: Sequence[Boxes]) -> Accuracy:
    """Compare what a model found with what the labels say.

    Args:
        labelled: the pictures and their objects.
        sizes: (height, width) in pixels of each picture, in the order of ``labelled``.
        found: the model's boxes on each picture, in its pixels, with every score above 0.001.

    Returns:
        Accuracy; mAP is 0 where the labels hold no object.
    """
    precision = {each.label: _precision(each, {**ALL, **SIZES}) for each in _classes(labelled, sizes, found)}
    whole = {label: values[..., 0] for label, values in precision.items()}
    per_size = {
        name: [values[..., place] for values in precision.values() if values[0, 0, place] >= 0]
        for place, name in enumerate(SIZES, 1)
    }
    return Accuracy(
        map50_95=_mean(whole.values()),
        map50=_mean(by_overlap[:1] for by_overlap in whole.values()),
        pictures=len(labelled.pictures),
        per_class={_name(labelled, label): float(values.mean()) for label, values in whole.items()},
        per_size={name: _mean(values) for name, values in per_size.items() if values},
    )


def _name(labelled: Labelled, label: int) -> str:
    """What a class is called, with its number where others are called so, too."""
    name = labelled.name(label)
    return f"{name} ({label})" if labelled.names.count(name) > 1 else name


def map50_95_without(
    labelled: Labelled, sizes: Sequence[tuple[int, int]], found: Sequence[Boxes], groups: int
) -> list[float]:
    """Compute that figure of ``score`` without each of ``groups`` parts of the pictures; boxes are matched only once.

    Args:
        labelled: the pictures and their objects.
        sizes: (height, width) in pixels of each picture.
        found: the model's boxes on each picture.
        groups: the first part is each ``groups``-th picture from the first on, the second from the second on.

    Returns:
        mAP50-95 of all pictures but those of each part.
    """
    classes = [[*_without(each, groups)] for each in _classes(labelled, sizes, found)]
    return [_mean(values for values in part if values[0, 0] >= 0) for part in zip(*classes, strict=True)]


@frozen(eq=False)
class _Class:
    """Labels and detections of one class.

    Attributes:
        dataset: the labels as COCO's JSON has them.
        rows: (N, 7), see ``_rows``.
    """

    label: int
    dataset: dict[str, Any]
    rows: Array


def _classes(labelled: Labelled, sizes: Sequence[tuple[int, int]], found: Sequence[Boxes]) -> Iterator[_Class]:
    """Give one class at a time: the evaluation makes a kilobyte of dictionaries of every detection."""
    truths: defaultdict[int, list[tuple[int, Truth]]] = defaultdict(list)
    for number, objects in enumerate(labelled.truths, 1):
        for truth in objects:
            truths[truth.label].append((number, truth))
    rows = np.concatenate([_rows(number, boxes) for number, boxes in enumerate(found, 1)])
    rows = rows[np.argsort(rows[:, 6], kind="stable")]
    for label in sorted(truths):
        if not all(truth.crowd for _, truth in truths[label]):
            dataset = _dataset(truths[label], sizes, relative=labelled.relative)
            yield _Class(label, dataset, rows[slice(*np.searchsorted(rows[:, 6], [label, label + 1]))])


def _precision(one: _Class, areas: Areas) -> Array:
    """Evaluate one class.

    Returns:
        (10, 101, areas) precision by IoU and recall; -1 where the labels hold none of that size.
    """
    if not len(one.rows):  # faster-coco-eval 1.6 fails without detections
        nothing = [_nothing_found(one.dataset["annotations"], *ends) for ends in areas.values()]
        return np.broadcast_to(nothing, (10, 101, len(areas)))
    evaluation = _evaluation(one, areas)
    evaluation.evaluate()
    evaluation.accumulate()
    precision: Array = evaluation.eval["precision"][:, :, 0, :, 0]
    return precision


def _without(one: _Class, groups: int) -> Iterator[Array]:
    """Evaluate one class without each part of the pictures; (10, 101) each, as for ``_precision``."""
    if not len(one.rows):
        for group in range(groups):
            kept = [each for each in one.dataset["annotations"] if (each["image_id"] - 1) % groups != group]
            yield np.broadcast_to(_nothing_found(kept, *ALL["all"]), (10, 101))
        return
    evaluation = _evaluation(one, ALL)
    evaluation.separate_eval = True
    evaluation.evaluate()
    # The library keeps its matches, a list in the order of the pictures, but offers no other way to them.
    matched, pictures = evaluation._evalImgs_cpp, evaluation._paramsEval.imgIds  # noqa: SLF001 - as above
    for group in range(groups):
        kept = [place for place in range(len(pictures)) if place % groups != group]
        evaluation._evalImgs_cpp = [matched[place] for place in kept]  # noqa: SLF001 - as above
        evaluation._paramsEval.imgIds = [pictures[place] for place in kept]  # noqa: SLF001 - as above
        evaluation.accumulate()
        yield evaluation.eval["precision"][:, :, 0, 0, 0]


def _evaluation(one: _Class, areas: Areas) -> Any:  # noqa: ANN401 - faster-coco-eval has no types
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(one.dataset, print_function=_silent)
    evaluation = COCOeval_faster(truth, truth.loadRes(one.rows), "bbox", print_function=_silent)
    evaluation.params.maxDets = [DETECTIONS]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = list(areas.values()), list(areas)
    return evaluation


def _nothing_found(annotations: Iterable[dict[str, Any]], low: float, high: float) -> float:
    """Precision where objects of these areas were there to be found, else COCO's -1 for nothing to find."""
    there = any(low <= each["area"] <= high and not each["iscrowd"] for each in annotations)
    return 0.0 if there else -1.0


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
