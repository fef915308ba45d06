"""A video in gives a video out, frame by frame, however it ends."""

import json
import shutil

import cv2
import numpy as np
import pytest

from polyyolo.cli import main
from polyyolo.detection.video import read_video


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    told = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    count = 0
    while capture.read()[0]:
        count += 1
    return count, *told


def written(path, size, count, codec="mp4v", rate=10):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, size)
    generator = np.random.default_rng(0)
    for _ in range(count):
        writer.write(generator.integers(0, 256, (size[1], size[0], 3), np.uint8))
    writer.release()
    return path


def test_every_frame_is_drawn_and_told(detect, clip, tmp_path):
    code, out, err = detect(clip)

    entries = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert (code, err) == (0, "")
    assert frames_of(tmp_path / "out" / "clip.mp4") == (24, 12.5, 320, 192)
    assert [entry["frame"] for entry in entries] == list(range(24))
    assert entries[5]["time_s"] == 0.4
    assert all(len(entry["boxes"]) > 5 for entry in entries)
    first = out.splitlines()[0]
    assert first.startswith("24 frames in ")
    assert first.endswith(" frames/s")


def test_frames_are_seen_like_the_same_pictures(detected, clip, tmp_path):
    capture = cv2.VideoCapture(str(clip))
    (tmp_path / "frames").mkdir()
    for number in range(24):
        cv2.imwrite(str(tmp_path / "frames" / f"{number:02}.png"), capture.read()[1])

    video = [entry["boxes"] for entry in detected(clip)]
    pictures = [entry["boxes"] for entry in detected(tmp_path / "frames")]

    assert video == pictures


def test_boxes_of_frames_in_the_other_forms(detect, clip, tmp_path):
    code, _, _ = detect(clip, "--save", "yolo,coco")

    out = tmp_path / "out"
    assert code == 0
    assert not (out / "clip.mp4").exists()
    assert sorted(path.name for path in (out / "labels").iterdir())[::23] == ["clip-000000.txt", "clip-000023.txt"]
    assert {row["image_id"] for row in json.loads((out / "coco-results.json").read_text())} == set(range(1, 25))


def test_the_longest_name_of_a_video_leaves_room_for_those_of_its_frames(detect, clip, tmp_path):
    """255 bytes are what a file system takes."""
    long = shutil.copy(clip, tmp_path / ("c" * 251 + ".mp4"))

    code, _, _ = detect(long, "--save", "pictures,yolo")

    assert code == 0
    assert (tmp_path / "out" / f"{'c' * 251}.mp4").is_file()
    assert (tmp_path / "out" / "labels" / f"{'c' * 244}-000023.txt").is_file()


def test_a_colon_in_a_relative_path_is_no_protocol(detect, clip, tmp_path, monkeypatch):
    """Recorders name their files by the time."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "2026-12-01T10:30:00.mp4")

    code, _, err = detect("2026-12-01T10:30:00.mp4", output="out:1")

    assert (code, err) == (0, "")
    assert frames_of(tmp_path / "out:1" / "2026-12-01T10:30:00.mp4") == (24, 12.5, 320, 192)


def test_two_models_side_by_side_make_a_wider_video(detect, clip, little_yolo, tmp_path):
    code, _, _ = detect(clip, "--against", little_yolo)

    assert code == 0
    assert frames_of(tmp_path / "out" / "clip.mp4") == (24, 12.5, 2 * 720 + 8, 36 + 432)


def test_odd_sides_lose_their_last_pixel(detect, tmp_path):
    source = written(tmp_path / "odd.avi", (321, 241), 3, "MJPG")

    code, _, _ = detect(source)

    assert code == 0
    assert frames_of(tmp_path / "out" / "odd.mp4") == (3, 10, 320, 240)


def test_a_video_that_is_cut_short_gives_what_could_be_decoded(detect, tmp_path):
    whole = written(tmp_path / "whole.avi", (320, 240), 40, "MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])

    code, out, _ = detect(tmp_path / "cut.avi", "--json")

    told = json.loads(out)
    assert code == 0
    assert 10 < told["shots"] < 25
    assert told["warnings"][0]["message"].endswith(
        f"promises 40 frames, and {told['shots']} could be decoded: it is damaged or cut short"
    )
    assert frames_of(tmp_path / "out" / "cut.mp4")[0] == told["shots"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "bad.mp4: No such file or directory"),
        (b"", "bad.mp4 is no video that can be decoded"),
        (b"no video", "bad.mp4 is no video that can be decoded"),
    ],
)
def test_a_file_that_is_no_video_is_refused(refused, tmp_path, data, said):
    if data is not None:
        (tmp_path / "bad.mp4").write_bytes(data)

    err = refused(tmp_path / "bad.mp4")

    assert said in err
    assert len(err.splitlines()) == 2  # FFmpeg and OpenCV keep silent


def test_an_mp4_without_its_end_is_refused(refused, clip, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(clip.read_bytes()[:-500])

    assert "is no video that can be decoded, or its end is missing" in refused(tmp_path / "bad.mp4")


def test_a_video_without_frames_is_refused(refused, tmp_path):
    empty = written(tmp_path / "empty.avi", (320, 240), 0, "MJPG")

    assert "empty.avi" in refused(empty)


def test_frames_too_small_to_hold_anything_are_refused(refused, tmp_path):
    assert "8x8 pixels: a side is shorter than 10" in refused(written(tmp_path / "dots.avi", (8, 8), 3, "MJPG"))


def test_a_rate_is_kept(tmp_path):
    for rate in (1, 23.976, 29.97, 120):
        assert read_video(written(tmp_path / f"{rate}.mp4", (64, 48), 5, rate=rate)).rate == pytest.approx(
            rate, rel=1e-3
        )


@pytest.mark.parametrize("place", ["/dev/full", "/dev/zero"])
def test_a_device_is_no_video(refused, tmp_path, place):
    (tmp_path / "endless.mp4").symlink_to(place)

    assert "it is a pipe or a device, no file" in refused(tmp_path / "endless.mp4")


def test_a_video_that_is_stopped_can_be_played(little_yolo, clip, tmp_path, monkeypatch, capsys):
    from polyyolo.detection.detector import Detector

    seen = []
    boxes = Detector.boxes

    def interrupted(self, shots, view):
        seen.append(shots)
        if len(seen) > 10:
            raise KeyboardInterrupt
        return boxes(self, shots, view)

    monkeypatch.setattr(Detector, "boxes", interrupted)
    with pytest.raises(SystemExit) as left:
        main(["detect", str(little_yolo), str(clip), "-o", str(tmp_path / "out")])

    entries = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert left.value.code == 130
    assert 3 <= len(entries) <= 10
    assert frames_of(tmp_path / "out" / "clip.mp4")[0] == len(entries)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["complete"] is False
    assert f"{len(entries)} frames were finished: they are in {tmp_path}/out" in capsys.readouterr().err.replace(
        "\n", ""
    )
