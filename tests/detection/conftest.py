"""``polyyolo detect`` on a small model, in this process."""

import json

import cv2
import numpy as np
import pytest

from polyyolo.cli import main


@pytest.fixture
def detect(capfd, little_yolo, tmp_path):
    """Run ``polyyolo detect`` into ``tmp_path / "out"``; gives exit code, standard output and standard error."""

    def run(source, *words, model=little_yolo, output=tmp_path / "out"):
        with pytest.raises(SystemExit) as left:
            main(["detect", str(model), str(source), "-o", str(output), "--quiet", *map(str, words)])
        said = capfd.readouterr()
        return left.value.code, said.out, said.err

    return run


@pytest.fixture
def detected(detect, tmp_path):
    """Run it well; gives the list in detections.json."""

    def run(source, *words, **others):
        code, _, err = detect(source, *words, **others)
        assert (code, err) == (0, "")
        return json.loads((tmp_path / "out" / "detections.json").read_text())

    return run


@pytest.fixture
def refused(detect, tmp_path):
    """See that it is refused with one error and one fix, and that nothing was left; gives the error."""

    def run(source, *words, **others):
        code, out, err = detect(source, *words, **others)
        assert (code, out) == (2, "")
        assert [err.count(word) for word in ("error: ", "  fix: ", "Traceback")] == [1, 1, 0]
        assert [path.name for path in (tmp_path / "out").glob("*") if path.name != ".lock"] == []
        return err

    return run


@pytest.fixture(scope="session")
def clip(tmp_path_factory, little_pictures):
    """A video of 24 frames of 80x48, 12.5 a second: the small pictures one after another."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12.5, (80, 48))
    for picture in sorted(little_pictures.iterdir()):
        writer.write(cv2.imread(str(picture)))
    writer.release()
    return path


@pytest.fixture
def photo():
    """A picture of noise, 48 pixels high and 80 wide."""
    return np.random.default_rng(5).integers(0, 256, (48, 80, 3), np.uint8)
