"""The README and docs/ are true: their commands run, their links lead somewhere, and the reference is that of the code.

A fenced block of ``sh`` runs in a folder that holds what examples speak of: model.onnx, model-dynamic.onnx, pictures/,
labelled/, train.txt, data.yaml, calibration.npy and a finished run. Blocks of one page run in order, in one folder. A
second word says why a block does not run here: network, gpu or make; its commands are held against the command line
all the same. A block of ``toml`` is written to the file that its first line names.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import cv2
import numpy as np
import onnx
import pytest
from attrs import frozen

from polyyolo import pipeline
from polyyolo.cli import main
from polyyolo.records import Request

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```(\w*) ?(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
ELSEWHERE = {
    "network": "needs a network",
    "gpu": "needs a GPU",
    "make": "makes a virtual environment of its own",
}
MAPS = """<ir_version: 8, opset_import: ["" : 17]>
maps (float[batch, 3, height, width] images) => (float[batch, 21, h8, w8] p3, float[batch, 21, h16, w16] p4) {
    a = Conv<kernel_shape = [4, 4], strides = [4, 4]>(images, a_w)
    b = Relu(a)
    c = Conv<kernel_shape = [2, 2], strides = [2, 2]>(b, c_w)
    d = Relu(c)
    e = Conv<kernel_shape = [2, 2], strides = [2, 2]>(d, e_w)
    f = Relu(e)
    p3 = Conv<kernel_shape = [1, 1]>(d, p3_w)
    p4 = Conv<kernel_shape = [1, 1]>(f, p4_w)
}"""
WEIGHTS = {"a_w": (8, 3, 4, 4), "c_w": (8, 8, 2, 2), "e_w": (8, 8, 2, 2), "p3_w": (21, 8, 1, 1), "p4_w": (21, 8, 1, 1)}


@frozen
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def name(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages):
    """Every block of these languages, page by page."""
    return [
        Block(page, page.read_text("utf-8").count("\n", 0, found.start()) + 1, *found.groups())
        for page in PAGES
        for found in FENCE.finditer(page.read_text("utf-8"))
        if found[1] in languages
    ]


def commands(block):
    """The words of each command; lines that end in a backslash go on, comments are none."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def maps_model():
    """Two raw heads of YOLOv5's kind, with open batch, height and width."""
    generator = np.random.default_rng(0)
    model = onnx.parser.parse_model(MAPS)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(generator.normal(0, 0.2, shape).astype(np.float32), name)
        for name, shape in WEIGHTS.items()
    )
    anchors = "[[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]]]"
    onnx.helper.set_model_props(model, {"names": "['dark', 'bright']", "strides": "[8, 16]", "anchors": anchors})
    return model


@pytest.fixture(scope="session")
def examples(little_yolo, little_pictures, little_labelled, tmp_path_factory):
    """A folder with everything that examples speak of."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copy(little_yolo, folder / "model.onnx")
    onnx.save(maps_model(), folder / "model-dynamic.onnx")
    shutil.copytree(little_pictures, folder / "pictures")
    shutil.copytree(little_labelled, folder / "labelled")
    names = sorted(path.name for path in little_pictures.iterdir())
    (folder / "train.txt").write_text("".join(f"pictures/{name}\n" for name in names))
    (folder / "data.yaml").write_text("train: pictures\nval: labelled/images\nnames: [dark, bright]\n")
    resized = [cv2.resize(cv2.imread(str(folder / "pictures" / name)), (64, 64)) for name in names]
    np.save(folder / "calibration.npy", np.stack(resized)[..., ::-1].transpose(0, 3, 1, 2))
    for name in ("polyyolo", "data_loaders", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    asked = Request(
        model=str(folder / "model.onnx"),
        images=folder / "pictures",
        toolchain="none",
        output=folder / "runs" / "model-int8",
    )
    shutil.copy(pipeline.engine(asked).folder / "model.int8.onnx", folder / "quantized.onnx")
    return folder


@pytest.fixture(scope="module")
def places(examples, tmp_path_factory):
    """A copy of the examples for each page."""
    made = {}

    def place(page):
        if page not in made:
            made[page] = tmp_path_factory.mktemp("page") / "work"
            shutil.copytree(examples, made[page], symlinks=True)
        return made[page]

    return place


def run(block, place):
    """Run a block as a user's shell would, and stop at the first command that fails."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("POLYYOLO_")},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "COLUMNS": "120",
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("block", blocks("sh", "toml"), ids=lambda block: block.name)
def test_what_the_pages_show_works(block, places):
    if block.language == "toml":
        place = places(block.page)
        (place / block.text.partition("\n")[0].lstrip("# ").strip()).write_text(block.text)
        return
    if block.mark:
        pytest.skip(ELSEWHERE[block.mark])

    done = run(block, places(block.page))

    assert done.returncode == 0, f"{block.text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("block", [each for each in blocks("sh") if each.mark], ids=lambda block: block.name)
def test_what_needs_more_than_this_machine_is_at_least_spelled_right(block):
    for words in commands(block):
        typed = _made(words) if words[0] == "make" else words
        if typed and Path(typed[0]).name == "polyyolo":
            _parse(typed[1:])


def _made(words):
    """What make would run, without running it."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return next((shlex.split(line) for line in lines if "bin/polyyolo " in line), [])


def _parse(words):
    """Let click read a command line; it complains of what it does not know."""
    command, context = main, click.Context(main, info_name="polyyolo")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, list(words))
        assert command is not None
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(context.info_name, list(words), parent=context.parent)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page):
    for target, heading in LINK.findall(page.read_text("utf-8")):
        if "://" in target:
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{target} in {page.name}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE)
            assert heading in [_anchor(title) for title in titles], f"{target}#{heading} in {page.name}"


def _anchor(title):
    """How GitHub names a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_reference_is_that_of_the_code():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert (ROOT / "docs" / "reference.md").read_text("utf-8") == module.reference(), "run: make docs"


def test_every_command_has_its_place_in_the_readme():
    shown = (ROOT / "README.md").read_text("utf-8")
    context = click.Context(main)
    names = main.list_commands(context)

    assert [name for name in names if f"`polyyolo {name}" not in shown] == []
