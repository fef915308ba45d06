"""A detection's folder: earlier results are replaced as a whole, kept where something goes wrong, and never mixed."""

import json
import resource
import signal
from pathlib import Path

import cv2
import pytest

from polyyolo.detection.detector import Detector
from polyyolo.detection.result import usual_folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_results_are_replaced_as_a_whole(detect, little_pictures, tmp_path):
    detect(little_pictures, "--save", "pictures,json,yolo,coco")
    mine = tmp_path / "out" / "pictures" / "mine.txt"
    mine.write_text("mine")

    detect(little_pictures / "03.png", "--save", "pictures,json")

    assert sorted(contents(tmp_path / "out")) == [
        ".lock",
        "detections.json",
        "pictures/03.jpg",
        "pictures/mine.txt",
        "summary.json",
    ]
    assert not (tmp_path / "out" / "labels").exists()


def test_empty_folders_and_links_that_no_detection_made_stay(detect, little_pictures, tmp_path):
    detect(little_pictures)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / ".git" / "refs").mkdir(parents=True)
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")

    assert detect(little_pictures)[0] == 0

    assert (tmp_path / "out" / ".git" / "refs").is_dir()
    assert (tmp_path / "out" / "link").is_symlink()


def test_a_folder_with_other_things_is_refused(detect, little_pictures, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")

    code, _, err = detect(little_pictures)

    assert code == 2
    assert "holds other things than a detection, as thesis.tex" in err
    assert contents(tmp_path / "out") == {"thesis.tex": b"mine"}


@pytest.mark.parametrize("summary", ["", "{}", '{"written": ["../../precious"]}'])
def test_a_damaged_summary_leads_to_no_file_outside(detect, little_pictures, tmp_path, summary):
    (tmp_path / "precious").write_text("mine")
    detect(little_pictures)
    (tmp_path / "out" / "summary.json").write_text(summary)

    code, _, err = detect(little_pictures)

    assert code == 2
    assert "was not written by this version of polyyolo, so that it is unknown which files are to be replaced" in err
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("name", ["pictures/00.jpg", "pictures"])
def test_a_file_of_yours_in_the_way_stops_the_results(detect, little_pictures, tmp_path, name):
    detect(little_pictures, "--save", "json")
    mine = tmp_path / "out" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    before = contents(tmp_path / "out")

    code, _, err = detect(little_pictures)

    assert code == 2
    assert f"{mine} is in the way of the results" in err
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("place", ["/sys/polyyolo/out", "a" * 300])
def test_a_folder_that_cannot_be_written_is_refused(detect, little_pictures, place):
    code, out, err = detect(little_pictures, output=place)

    assert (code, out) == (2, "")
    assert err.startswith("error: cannot write below ")


def test_results_do_not_take_the_place_of_their_source(detect, photo, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), photo)

    code, _, err = detect(tmp_path / "photo.png", output=tmp_path)

    assert code == 2
    assert "photo.png lies in " in err
    assert "where results would take its place" in err


@pytest.mark.parametrize("source", ["pictures", "video"])
def test_a_full_disk_is_told_and_leaves_earlier_results_as_they_were(detect, little_pictures, clip, tmp_path, source):
    """No file may grow beyond a limit, which is how a full disk looks to a program."""
    detect(little_pictures / "00.png")
    before = contents(tmp_path / "out")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
    try:
        code, out, err = detect(little_pictures if source == "pictures" else clip, "--save", "pictures")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert (code, out) == (3, "")
    assert "no space is left to write" in err
    assert contents(tmp_path / "out") == before


def stop_after(monkeypatch, shots):
    seen, boxes = [], Detector.boxes

    def interrupted(self, chunk, view):
        seen.append(chunk)
        if len(seen) > shots:
            raise KeyboardInterrupt
        return boxes(self, chunk, view)

    monkeypatch.setattr(Detector, "boxes", interrupted)


def test_a_stopped_detection_keeps_what_was_finished_whole(detect, little_pictures, tmp_path, monkeypatch):
    stop_after(monkeypatch, 9)

    code, _, err = detect(little_pictures, "--save", "pictures,json,yolo,coco")

    out = tmp_path / "out"
    entries = json.loads((out / "detections.json").read_text())
    assert code == 130
    assert err.strip() == "interrupted: nothing half-written was left"
    assert 2 <= len(entries) <= 9
    assert all(cv2.imread(str(out / entry["drawn"])).shape == (192, 320, 3) for entry in entries)
    assert len(list((out / "pictures").iterdir())) == len(list((out / "labels").iterdir())) == len(entries)
    assert {row["image_id"] for row in json.loads((out / "coco-results.json").read_text())} == set(
        range(1, len(entries) + 1)
    )
    assert json.loads((out / "summary.json").read_text())["complete"] is False
    assert not (out / ".partial").exists()


def test_a_stopped_detection_does_not_replace_an_earlier_one(detect, little_pictures, tmp_path, monkeypatch):
    detect(little_pictures)
    before = contents(tmp_path / "out")
    for shots in (6, 9):
        stop_after(monkeypatch, shots)
        assert detect(little_pictures)[0] == 130
        monkeypatch.undo()

    assert contents(tmp_path / "out") == before
    beside = json.loads((tmp_path / "out-stopped" / "detections.json").read_text())
    assert 0 < len(beside) < 24


def test_an_interrupt_while_results_take_their_places_waits_for_the_last(
    detect, little_pictures, tmp_path, monkeypatch
):
    detect(little_pictures)
    whole = contents(tmp_path / "out")
    replace, moved = Path.replace, []

    def interrupted(self, target):
        moved.append(target)
        if len(moved) == 2:
            signal.raise_signal(signal.SIGINT)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)

    assert detect(little_pictures)[0] == 130
    after = contents(tmp_path / "out")
    summary = json.loads(after.pop("summary.json"))
    del whole["summary.json"]
    assert after == whole
    assert (summary["complete"], len(summary["written"])) == (True, 25)


def test_stopped_before_the_first_picture_nothing_is_left(detect, little_pictures, tmp_path, monkeypatch):
    stop_after(monkeypatch, 0)

    assert detect(little_pictures)[0] == 130
    assert set(contents(tmp_path / "out")) <= {".lock"}


def test_the_usual_folder_is_that_of_the_model_and_the_source(detect, little_yolo, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two"):
        (tmp_path / folder / "photos").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / "photos" / "a.png"), photo)
    first = usual_folder(little_yolo, Path("one/photos"))
    detect("one/photos", output=first)

    assert first == Path("runs/detect/little-photos")
    assert usual_folder(little_yolo, Path("one/photos")) == first
    assert usual_folder(little_yolo, tmp_path / "two" / "photos") == Path("runs/detect/little-photos-2")
