"""What was seen is kept by what it follows from, and nothing else is reused."""

import shutil

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo.images.presets import preprocessing_for
from polyyolo.images.sources import find_pictures
from polyyolo.models.spec import read_spec
from polyyolo.records import HeadKind
from polyyolo.verification import sightings
from polyyolo.verification.sightings import View, look


@pytest.fixture
def spec(little_yolo):
    return read_spec(little_yolo)


@pytest.fixture
def view(spec):
    return View((spec, spec), preprocessing_for(spec, (64, 64)), evaluate=True)


@pytest.fixture
def pictures(little_pictures, tmp_path):
    """Five files that a test may change."""
    return [shutil.copy(path, tmp_path / path.name) for path in find_pictures(little_pictures)[:5]]


@pytest.fixture
def run(monkeypatch):
    """The names of the pictures that really go through the models, in order."""
    names = []
    real = sightings._batches

    def counted(view, pictures):
        names.extend(path.name for path in pictures)
        return real(view, pictures)

    monkeypatch.setattr(sightings, "_batches", counted)
    return names


def figures(seen):
    """Every number of it, for comparing to the bit."""
    return [(each.size, *map(np.ndarray.tobytes, _arrays(each))) for each in seen]


def _arrays(seen):
    found = (*seen.shown, *seen.evaluated)
    return [seen.powers, *(array for boxes in found for array in (boxes.xyxy, boxes.scores, boxes.classes))]


def test_pictures_that_were_finished_are_not_run_again(view, pictures, run):
    kept = {}
    first = look(view, pictures[:3], kept)
    second = look(view, pictures, kept)

    assert run == ["00.png", "01.png", "02.png", "03.png", "04.png"]
    assert figures(second) == figures(look(view, pictures))
    assert figures(second)[:3] == figures(first)
    assert sum(len(each.evaluated[0]) for each in second) > 20


def test_where_everything_was_finished_no_model_is_even_loaded(view, pictures, tmp_path):
    kept = {}
    look(view, pictures, kept)
    gone = evolve(view, models=tuple(evolve(model, path=tmp_path / "gone.onnx") for model in view.models))

    assert len(look(gone, pictures, kept)) == 5


def test_a_picture_that_changed_is_run_again_and_one_that_was_renamed_is_not(view, pictures, run):
    kept = {}
    look(view, pictures, kept)
    run.clear()
    shutil.copy(pictures[0], pictures[3])
    pictures[1] = pictures[1].rename(pictures[1].with_name("renamed.png"))
    pictures[4].write_bytes(pictures[4].read_bytes() + b"more")

    look(view, pictures, kept)

    assert run == ["04.png"]


def another(spec):
    """The same model in a file of other bytes."""
    model = onnx.load(spec.path)
    model.doc_string = "another"
    onnx.save(model, spec.path.with_name("another.onnx"))
    return read_spec(spec.path.with_name("another.onnx"))


@pytest.mark.parametrize(
    "change",
    [
        lambda view: evolve(view, models=(another(view.models[0]), view.models[1])),
        lambda view: evolve(view, models=(view.models[0], another(view.models[1]))),
        lambda view: evolve(view, models=view.models[:1]),
        lambda view: evolve(view, evaluate=False),
        lambda view: evolve(view, preprocessing=evolve(view.preprocessing, pad=0)),
        lambda view: evolve(
            view, models=tuple(evolve(each, head=evolve(each.head, kind=HeadKind.NONE)) for each in view.models)
        ),
    ],
    ids=["reference", "candidate", "alone", "not for mAP", "preprocessing", "head"],
)
def test_what_another_view_saw_is_not_reused(view, pictures, run, change):
    kept = {}
    look(view, pictures[:2], kept)
    run.clear()

    look(change(view), pictures[:2], kept)

    assert run == ["00.png", "01.png"]


def test_an_interruption_in_the_middle_changes_no_bit(view, pictures):
    """The second run begins with a whole batch, as the first would have gone on."""

    class Interrupted(dict):
        def update(self, pairs):
            super().update(pairs)
            if len(self) == 2:
                raise KeyboardInterrupt

    kept = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        look(view, pictures, kept)

    assert len(kept) == 2
    assert figures(look(view, pictures, dict(kept))) == figures(look(view, pictures))


def test_batches_are_kept_whole_or_not_at_all(tmp_path, pictures):
    """A model of batch 2 and five pictures: 2, 2 and 1, the last filled up."""
    path = tmp_path / "two.onnx"
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[2,3,32,32] images) => (float[2,3,32,32] out) {'
    onnx.save(onnx.parser.parse_model(text + " out = Relu(images) }"), path)
    two = read_spec(path)
    sizes = []

    class Counting(dict):
        def update(self, pairs):
            rows = list(pairs)
            sizes.append(len(rows))
            super().update(rows)

    seen = look(View((two, two), preprocessing_for(two, (32, 32)), evaluate=False), pictures, Counting())

    assert sizes == [2, 2, 1]
    assert [each.powers.shape for each in seen] == [(1, 2)] * 5
    assert all(each.powers[0, 0] > 0 == each.powers[0, 1] for each in seen)
    assert seen[0].shown == ()


def test_the_same_picture_twice_is_seen_twice(view, pictures):
    seen = look(view, [pictures[0], pictures[1], pictures[0]])

    assert figures(seen)[0] == figures(seen)[2] != figures(seen)[1]
    np.testing.assert_array_equal(seen[0].powers[:, 1], 0)
