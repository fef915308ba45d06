"""mAP is COCO's own, and the reference models reach their reference figures."""

import contextlib
import io
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from polyyolo.images.presets import preprocessing_for
from polyyolo.models.spec import read_spec
from polyyolo.verification.accuracy import map50_95_without, measure, score
from polyyolo.verification.boxes import Boxes
from polyyolo.verification.labelled import Labelled, Truth, read_labelled

NOTHING = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
NAMES = ("cat", "dog", "cow")
SIZE = (300, 400)


def scene(seed, pictures=12):
    """Truths in three classes, one a crowd, and detections near some of them with others that are wrong."""
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(pictures):
        low = rng.uniform(0, 200, (rng.integers(0, 6), 2))
        boxes = np.concatenate([low, rng.uniform(5, 180, low.shape)], axis=1)
        labels = rng.integers(0, 3, len(boxes))
        truths.append(
            tuple(
                Truth(int(label), tuple(box.tolist()), area=float(rng.choice([0, 500])), crowd=bool(rng.random() < 0.1))
                for label, box in zip(labels, boxes, strict=True)
            )
        )
        near = np.repeat(boxes, 2, axis=0) + rng.normal(0, 4, (2 * len(boxes), 4))
        wrong = np.concatenate([rng.uniform(0, 200, (3, 2)), rng.uniform(5, 90, (3, 2))], axis=1)
        placed = np.concatenate([near, wrong])
        corners = np.concatenate([placed[:, :2], placed[:, :2] + np.abs(placed[:, 2:])], axis=1).astype(np.float32)
        classes = np.concatenate([np.repeat(labels, 2), rng.integers(0, 3, 3)])
        found.append(Boxes(corners, rng.uniform(0, 1, len(corners)).astype(np.float32), classes))
    labelled = Labelled(tuple(Path(f"{place}.jpg") for place in range(pictures)), tuple(truths), NAMES)
    return labelled, [SIZE] * pictures, found


def by_pycocotools(labelled, found):
    """The same question asked of the reference implementation."""
    truths = [(number, truth) for number, picture in enumerate(labelled.truths, 1) for truth in picture]
    reference = COCO()
    reference.dataset = {
        "info": {},
        "images": [{"id": number} for number in range(1, len(labelled.pictures) + 1)],
        "categories": [{"id": label, "name": name} for label, name in enumerate(NAMES)],
        "annotations": [
            {
                "id": place,
                "image_id": number,
                "category_id": truth.label,
                "bbox": list(truth.box),
                "area": truth.area or truth.box[2] * truth.box[3],
                "iscrowd": int(truth.crowd),
            }
            for place, (number, truth) in enumerate(truths, 1)
        ],
    }
    detections = [
        {"image_id": number, "category_id": int(label), "bbox": [x1, y1, x2 - x1, y2 - y1], "score": float(chance)}
        for number, boxes in enumerate(found, 1)
        for label, chance, (x1, y1, x2, y2) in zip(
            boxes.classes, boxes.scores, boxes.xyxy.astype(float).tolist(), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", range(5))
def test_map_equals_pycocotools_on_the_same_detections(seed, capfd):
    labelled, sizes, found = scene(seed)

    accuracy = score(labelled, sizes, found)

    assert capfd.readouterr() == ("", "")
    wanted = by_pycocotools(labelled, found)
    assert accuracy.map50_95 == pytest.approx(wanted.stats[0], abs=1e-6)
    assert accuracy.map50 == pytest.approx(wanted.stats[1], abs=1e-6)
    assert 0.05 < accuracy.map50_95 < 0.9
    precision = wanted.eval["precision"][:, :, :, 0, -1]
    for label, name in enumerate(NAMES):
        assert accuracy.per_class[name] == pytest.approx(precision[:, :, label].mean(), abs=1e-6)
    assert list(accuracy.per_size.values()) == pytest.approx(wanted.stats[3:6].tolist(), abs=1e-6)
    assert list(accuracy.per_size) == ["small", "medium", "large"]


def test_sizes_end_where_coco_says_and_both_ends_count():
    """32 x 32 pixels are small and medium, 96 x 96 medium and large; one pixel of area more is not small."""
    sides = {"cat": 32.0, "dog": 96.0, "cow": 33.0}
    for name, side in sides.items():
        label = NAMES.index(name)
        labelled = Labelled((Path("a.jpg"),), ((Truth(label, (10.0, 10.0, side, side)),),), NAMES)
        there = Boxes(np.array([[10, 10, 10 + side, 10 + side]], np.float32), np.ones(1), np.array([label]))

        found = score(labelled, [SIZE], [there]).per_size
        missed = score(labelled, [SIZE], [NOTHING]).per_size

        assert found == dict.fromkeys(missed, pytest.approx(1))
        assert missed == dict.fromkeys(
            {"cat": ("small", "medium"), "dog": ("medium", "large"), "cow": ("medium",)}[name], 0
        )


def test_a_class_of_which_nothing_is_found_counts_in_the_sizes_that_it_has():
    """Two classes, one small and one large: each size is the mean of the classes that have it, as in COCO."""
    truths = (Truth(0, (0.0, 0.0, 10.0, 10.0)), Truth(1, (0.0, 0.0, 10.0, 10.0)), Truth(1, (50.0, 50.0, 120.0, 120.0)))
    labelled = Labelled((Path("a.jpg"),), (truths,), NAMES)
    cat = Boxes(np.array([[0, 0, 10, 10]], np.float32), np.ones(1), np.array([0]))

    assert score(labelled, [SIZE], [cat]).per_size == {"small": pytest.approx(0.5), "large": 0}
    assert by_pycocotools(labelled, [cat]).stats[3:6].tolist() == pytest.approx([0.5, -1, 0])


@pytest.mark.parametrize(("seed", "pictures"), [(0, 12), (1, 30), (2, 4)])
def test_without_a_part_of_the_pictures_map_is_that_of_all_others(seed, pictures):
    """Boxes are matched once for all parts; four parts of four pictures leave classes without an object."""
    labelled, sizes, found = scene(seed, pictures)
    found[0] = found[0].take(found[0].classes != 0)

    told = map50_95_without(labelled, sizes, found, 4)

    for part, value in enumerate(told):
        kept = [place for place in range(pictures) if place % 4 != part]
        rest = evolve(
            labelled,
            pictures=tuple(labelled.pictures[place] for place in kept),
            truths=tuple(labelled.truths[place] for place in kept),
        )
        assert value == score(rest, [sizes[place] for place in kept], [found[place] for place in kept]).map50_95


def test_a_class_that_is_never_found_counts_only_where_it_is_there():
    """Two pictures, a cat that is found on the first and a dog that is missed on the second."""
    truths = ((Truth(0, (0.0, 0.0, 10.0, 10.0)),), (Truth(1, (0.0, 0.0, 10.0, 10.0)),))
    labelled = Labelled((Path("a.jpg"), Path("b.jpg")), truths, NAMES)
    cat = Boxes(np.array([[0, 0, 10, 10]], np.float32), np.ones(1), np.array([0]))

    assert map50_95_without(labelled, [SIZE] * 2, [cat, NOTHING], 2) == [0, pytest.approx(1)]


def test_finding_exactly_what_is_labelled_is_1_and_finding_nothing_is_0():
    labelled, sizes, _ = scene(0)
    perfect = [
        Boxes(
            np.array([[x, y, x + w, y + h] for x, y, w, h in (truth.box for truth in truths)]).reshape(-1, 4),
            np.ones(len(truths)),
            np.array([truth.label for truth in truths], int),
        )
        for truths in labelled.truths
    ]

    assert score(labelled, sizes, perfect).map50_95 == pytest.approx(1)
    assert score(labelled, sizes, [NOTHING] * 12).map50_95 == 0


def test_shares_of_a_picture_are_scaled_to_its_own_size():
    labelled = Labelled((Path("a.jpg"),), ((Truth(0, (0.25, 0.5, 0.5, 0.25)),),), relative=True)
    there = Boxes(np.array([[100, 150, 300, 225]], np.float32), np.ones(1), np.zeros(1, int))

    accuracy = score(labelled, [SIZE], [there])

    assert accuracy.map50_95 == pytest.approx(1)
    assert accuracy.per_class == {"0": pytest.approx(1)}


def test_classes_that_the_labels_do_not_hold_count_neither_way():
    labelled = Labelled((Path("a.jpg"),), ((Truth(0, (10.0, 10.0, 50.0, 50.0)),),), NAMES)
    two = Boxes(np.array([[10, 10, 60, 60], [10, 10, 60, 60]], np.float32), np.ones(2), np.array([0, 2]))

    accuracy = score(labelled, [SIZE], [two])

    assert accuracy.map50_95 == pytest.approx(1)
    assert set(accuracy.per_class) == {"cat"}


def test_background_pictures_only_have_a_map_of_0():
    labelled = Labelled((Path("a.jpg"),), ((),), NAMES)

    assert score(labelled, [SIZE], [NOTHING]).map50_95 == 0


@pytest.mark.parametrize("evaluate", [score, partial(map50_95_without, groups=8)], ids=["score", "without parts"])
def test_memory_does_not_grow_with_what_the_evaluation_makes_of_every_detection(evaluate):
    """All classes of these 60 pictures at once would take 23 MB, mostly of dictionaries."""
    rng = np.random.default_rng(0)
    many = 40
    truths = tuple(tuple(Truth(label, (float(label), 10.0, 50.0, 50.0)) for label in range(many)) for _ in range(60))
    low = rng.uniform(0, 300, (200, 2))
    crowd = Boxes(np.concatenate([low, low + 50], axis=1), rng.uniform(0, 1, 200), np.repeat(np.arange(many), 5))

    tracemalloc.start()
    evaluate(Labelled((Path("a.jpg"),) * 60, truths), [SIZE] * 60, [crowd] * 60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 12e6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "wanted"),
    [("yolov8n-640", 640, (0.4326, 0.6027)), ("yolov4-tiny-416", 416, (0.2737, 0.4693))],
)
def test_fp32_models_reach_their_reference(models, val, name, size, wanted):
    spec = read_spec(models / f"{name}.onnx")

    labelled = read_labelled(val, spec.names, classes=spec.head.classes)
    accuracy = measure(spec, preprocessing_for(spec, (size, size)), labelled)

    assert accuracy.pictures == 128
    assert (accuracy.map50_95, accuracy.map50) == pytest.approx(wanted, abs=0.001)
