"""What tells whether the pictures of a run are still the same, and whether they were kept out of the calibration."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from attrs import evolve

from polyyolo import progress
from polyyolo.decisions import decide
from polyyolo.errors import PictureError
from polyyolo.images import choose
from polyyolo.models.spec import read_spec
from polyyolo.picture_sets import choose_pictures, digest_of, refuse_changed_pictures, was_held_out
from polyyolo.records import CalibrationSet, Precision, Preprocessing, Request


def test_the_digest_of_pictures_is_that_of_their_bytes(tmp_path):
    first, second = tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"
    for path in (first, second):
        path.parent.mkdir()
        cv2.imwrite(str(path), np.full((4, 4, 3), 9, np.uint8))
    before = digest_of([first], None)

    assert digest_of([second], None) == before, "where they lie does not matter"
    assert digest_of([first, second], None) != before
    second.write_bytes(second.read_bytes() + b" ")
    assert digest_of([second], None) != before


def test_the_digest_of_labelled_pictures_follows_their_labels(little_yolo, little_pictures, little_labelled, tmp_path):
    asked = Request(model=str(little_yolo), images=little_pictures, toolchain="none")
    copy = shutil.copytree(little_labelled, tmp_path / "copy")
    before = decide(evolve(asked, labelled=copy))
    (copy / "labels" / "held-0.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    after = decide(evolve(asked, labelled=copy))

    digests = [digest_of(found.compared_on, found.labelled) for found in (before, after)]
    assert digests[0] != digests[1]
    renamed = evolve(before.labelled, names=("this", "that"))
    assert digest_of(before.compared_on, renamed) != digests[0], "classes are reported by their names"
    assert before.compared_on[0].samefile(after.compared_on[0])


def calibrated_with(*paths):
    return CalibrationSet(paths, Preprocessing((64, 64)), batch=1, seed=0, found=len(paths), sha256="0")


@pytest.mark.parametrize(
    ("gone", "held_out", "said"),
    [
        (
            "cal/x.png",
            False,
            ["whether 1 of the 2 pictures to compare on were calibrated with cannot be told, as x.png"],
        ),
        ("cal/z.png", True, []),
        ("cal/" + "z" * 300, True, []),
    ],
)
def test_of_calibration_pictures_that_are_gone_the_names_decide(tmp_path, gone, held_out, said):
    """A run is verified from another folder, on another machine, or after its pictures were moved."""
    compared_on = [tmp_path / "x.png", tmp_path / "y.png"]
    for path in compared_on:
        path.write_text(path.name)

    with progress.recording() as heard:
        found = was_held_out(calibrated_with(Path(gone)), compared_on)

    assert found is held_out
    assert [warning.message.split(":")[0] for warning in heard.warnings] == said


def test_pictures_that_are_there_are_told_from_those_that_may_have_been_calibrated_with(tmp_path):
    compared_on = [tmp_path / "x.png", tmp_path / "y.png"]
    for path in compared_on:
        path.write_text(path.name)

    with progress.recording() as heard:
        assert not was_held_out(calibrated_with(compared_on[0], Path("cal/x.png"), Path("cal/y.png")), compared_on)

    assert [warning.message.split(":")[0] for warning in heard.warnings] == [
        "1 of the 2 pictures to compare on were calibrated with, as x.png",
        "whether 1 of the 2 pictures to compare on were calibrated with cannot be told, as y.png",
    ]


def test_a_copy_under_another_name_was_calibrated_with_too_and_another_of_the_same_name_was_not(tmp_path):
    for name, content in [("cal/x.png", b"1" * 200_000), ("renamed.png", b"1" * 200_000), ("x.png", b"2" * 200_000)]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)

    assert not was_held_out(calibrated_with(tmp_path / "cal/x.png"), [tmp_path / "renamed.png"])
    assert was_held_out(calibrated_with(tmp_path / "cal/x.png"), [tmp_path / "x.png"])


def test_copies_of_a_picture_to_compare_on_are_not_calibrated_with(folder, little_yolo):
    for path in sorted(folder.glob("*.png")):
        path.with_name(f"copy-of-{path.name}").write_bytes(path.read_bytes())

    decisions = wanting(folder, little_yolo)

    both = {path.read_bytes() for path in decisions.compared_on} & {
        path.read_bytes() for path in decisions.calibration.sources
    }
    assert decisions.compared_on
    assert not both
    assert decisions.held_out


@pytest.mark.parametrize("contents", [1, 4])
def test_few_contents_under_many_names_leave_none_to_compare_on(little_yolo, tmp_path, contents):
    generator = np.random.default_rng(0)
    drawn = [generator.integers(0, 255, (16, 16, 3), np.uint8) for _ in range(contents)]
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number}.png"), drawn[number % contents])

    decisions = wanting(tmp_path, little_yolo)

    assert decisions.compared_on == ()
    assert decisions.calibration.pictures == 20


def wanting(images, model, **more):
    return decide(Request(model=str(model), images=images, toolchain="none", **more))


@pytest.fixture
def folder(tmp_path):
    """Twenty pictures, of which every fourth is cut short."""
    generator = np.random.default_rng(0)
    for number in range(20):
        path = tmp_path / f"{number:02}.png"
        cv2.imwrite(str(path), generator.integers(0, 255, (16, 16, 3), np.uint8))
        if number % 4 == 0:
            path.write_bytes(path.read_bytes()[:60])
    return tmp_path


def test_a_fifth_is_kept_to_compare_on_though_some_cannot_be_used(folder, little_yolo):
    found = wanting(folder, little_yolo)

    assert len(found.held) == 4
    assert len(found.calibration.sources) == 11
    assert not {*found.held} & {*found.calibration.sources}


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.FP32])
def test_the_same_pictures_are_compared_on_in_every_precision(folder, little_yolo, precision, batch):
    spec, asked = read_spec(little_yolo), Request(str(little_yolo), images=folder, seed=3)

    chosen, held = choose_pictures(asked, spec, Preprocessing((64, 64)), batch, labelled=False)
    others = choose_pictures(evolve(asked, precision=precision), spec, Preprocessing((64, 64)), batch, labelled=False)

    assert (chosen.batch, len(held)) == (batch, 4)
    assert others == (None, held)


def test_pictures_that_fill_one_batch_alone_are_all_calibrated_with(little_yolo, tmp_path):
    generator = np.random.default_rng(0)
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number}.png"), generator.integers(0, 255, (16, 16, 3), np.uint8))
    asked = Request(str(little_yolo), images=tmp_path)

    chosen, held = choose_pictures(asked, read_spec(little_yolo), Preprocessing((64, 64)), 17, labelled=False)

    assert (held, len(chosen.sources)) == ((), 17)


@pytest.mark.parametrize("change", ["rewritten", "gone"])
def test_pictures_that_change_after_they_were_chosen_are_refused(folder, little_yolo, change):
    chosen, held = (found := wanting(folder, little_yolo)).calibration, found.held
    digest = digest_of(held, None)
    refuse_changed_pictures(held, None, digest)
    choose.refuse_changed(chosen)

    for path in (chosen.sources[0], held[0]):
        path.write_bytes(path.read_bytes() + b" ") if change == "rewritten" else path.unlink()

    with pytest.raises(PictureError, match="to calibrate with changed"):
        choose.refuse_changed(chosen)
    with pytest.raises(PictureError, match="to compare on"):
        refuse_changed_pictures(held, None, digest)


def test_a_picture_to_compare_on_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(PictureError, match=r"gone\.png, to compare on, cannot be read"):
        digest_of([tmp_path / "gone.png"], None)


@pytest.mark.parametrize(
    ("readable", "batch", "count", "chosen", "held"),
    [(1, 1, 128, 1, 0), (9, 8, 128, 8, 0), (10, 8, 4, 8, 2)],
    ids=["the only one", "no more than a batch", "fewer asked for than a batch has"],
)
def test_what_calibration_needs_is_not_kept_to_compare_on(  # noqa: PLR0917 - a case's numbers
    little_yolo, tmp_path, readable, batch, count, chosen, held
):
    generator = np.random.default_rng(0)
    for number in range(10 if readable > 1 else 5):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), generator.integers(0, 255, (16, 16, 3), np.uint8))
        if number >= readable:
            path.write_bytes(path.read_bytes()[:60])
    asked = Request(str(little_yolo), images=tmp_path, count=count)

    found, kept = choose_pictures(asked, read_spec(little_yolo), Preprocessing((64, 64)), batch, labelled=False)

    assert (len(found.sources), len(kept)) == (chosen, held)


def test_an_npy_that_has_fewer_entries_now_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).random((10, 3, 64, 64), np.float32))
    chosen = choose.choose(path, Preprocessing((64, 64)), count=10, batch=1)
    choose.refuse_changed(chosen)
    np.save(path, np.load(path)[:4])

    with pytest.raises(PictureError, match="changed since they were chosen"):
        choose.refuse_changed(chosen)
