"""Places where nothing can be written, by every command that writes: one error and one fix, never a traceback."""

import os
import shutil
from pathlib import Path

import onnx
import pytest

from polyyolo.cli import main

WRITERS = {
    "bundle RUN --pictures 0 -o": "",
    "cache export RUN --tensorrt 8.6 -o": ".cache",
    "cache import RUN/model.int8.onnx --model MODEL -o": ".onnx",
    "detect MODEL PICTURES/00.png -o": "",
    "engine MODEL --images PICTURES --toolchain none -o": "",
    "inspect data PICTURES/00.png -o": ".png",
    "inspect qdq RUN/model.int8.onnx --fix -o": ".onnx",
    "report RUN -o": ".html",
    "surgeon simplify MODEL": ".onnx",
}
"""The words of a command up to the place where it writes -> the suffix of what it writes."""


@pytest.fixture
def written(capsys, first, little_yolo, little_pictures):
    """Let a command write somewhere; gives exit code and standard error."""
    named = {"RUN": first, "MODEL": little_yolo, "PICTURES": little_pictures}

    def run(writer, place):
        for name, path in named.items():
            writer = writer.replace(name, str(path))
        with pytest.raises(SystemExit) as left:
            main([*writer.split(), str(place)])
        return left.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "place",
    ["/proc/polyyolo", "{here}/file/results", "{here}/pipe/results", "{here}/" + 300 * "n", "{here}/loop/results"],
    ids=["no folder can be made", "below a file", "below a pipe", "too long a name", "links in a circle"],
)
def test_what_cannot_be_written_is_refused(written, tmp_path, writer, place):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")

    code, err = written(writer, place.format(here=tmp_path) + WRITERS[writer])

    error, fix = err.splitlines()[-2:]
    assert (code, error[:7], fix[:7]) == (2, "error: ", "  fix: ")


@pytest.mark.parametrize("writer", [writer for writer, suffix in WRITERS.items() if suffix])
def test_no_file_takes_the_place_of_a_pipe_or_a_device(written, tmp_path, writer):
    """For root it would take that of /dev/null too."""
    pipe = tmp_path / f"pipe{WRITERS[writer]}"
    os.mkfifo(pipe)

    code, err = written(writer, pipe)

    assert code == 2
    assert f"error: {pipe} is a pipe or a device" in err
    assert pipe.is_fifo()


OVERWRITERS = (
    "build MODEL -o MODEL",
    "cache export RUN --tensorrt 8.6 -o TABLE",
    "cache import QDQ --model MODEL -o MODEL",
    "cache import QDQ --model MODEL -o QDQ",
    "inspect qdq QDQ --fix -o QDQ",
    "surgeon simplify MODEL MODEL",
)


@pytest.fixture
def mine(earlier, little_yolo, tmp_path):
    """What the words of a command stand for, where it may be written to."""
    model = shutil.copy(little_yolo, tmp_path / "mine.onnx")
    return {"MODEL": model, "QDQ": earlier / "model.int8.onnx", "TABLE": earlier / "calibration.json", "RUN": earlier}


@pytest.mark.parametrize("words", OVERWRITERS)
@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to], ids=["name", "symlink", "hard link"])
def test_no_command_writes_over_what_it_reads(mine, tmp_path, capsys, words, link):
    before = {path: path.read_bytes() for path in mine.values() if path.is_file()}
    *read, written = words.split()
    output = mine[written]
    if link:
        output = tmp_path / f"link{output.suffix}"
        link(output, mine[written])

    with pytest.raises(SystemExit) as left:
        main([*(str(mine.get(word, word)) for word in read), str(output)])

    assert left.value.code == 2
    assert "itself, which would be lost" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    "words",
    [
        "build APART -o",
        "build APART -o none --timing-cache",
        "cache export RUN --tensorrt 8.6 --model APART -o",
        "cache import QDQ --model APART -o",
        "inspect qdq APART --fix -o",
        "surgeon simplify APART",
    ],
)
def test_no_command_writes_over_weights_that_lie_beside_the_model_it_reads(mine, tmp_path, capsys, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    apart, weights = tmp_path / "apart.onnx", tmp_path / "weights.onnx"
    onnx.save(onnx.load(mine["MODEL"]), apart, save_as_external_data=True, location=weights.name, size_threshold=100)
    before = weights.read_bytes()

    with pytest.raises(SystemExit) as left:
        main([*(str({**mine, "APART": apart}.get(word, word)) for word in words.split()), str(weights)])

    assert left.value.code == 2
    assert f"{weights} is {weights} itself, which would be lost" in capsys.readouterr().err
    assert weights.read_bytes() == before


@pytest.mark.parametrize("writer", [writer for writer, suffix in WRITERS.items() if suffix])
def test_a_write_protected_file_stays_what_it_is(written, tmp_path, writer):
    """Root may write to it, and renaming asks for the folder's permission alone."""
    place = tmp_path / f"mine{WRITERS[writer]}"
    place.write_text("mine")
    place.chmod(0o444)

    code, err = written(writer, place)

    assert code == 2
    assert f"error: {place} is write-protected" in err
    assert f"chmod u+w {place}" in err
    assert place.read_text() == "mine"
